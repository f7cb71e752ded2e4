package synth

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// missing stands in a series for a period without a datapoint.
var missing = math.NaN()

// metricMath evaluates as much of CloudWatch's metric math as our alarms use, period by period.
// Source: CloudWatch user guide, using-metric-math.
type metricMath struct {
	t       *testing.T
	tokens  []string
	metrics map[string][]float64
	// fillsNothing is whether FILL makes anything of a series without a single datapoint. The guide leaves it open.
	fillsNothing bool
}

// An operand is a series, or a scalar.
type operand struct {
	series []float64
	scalar float64
}

func (o operand) at(i int) float64 {
	if o.series == nil {
		return o.scalar
	}
	return o.series[i]
}

var mathToken = regexp.MustCompile(`[A-Za-z_]+|[0-9]+|[-+*<>(),]`)

func evaluateMath(t *testing.T, expression string, metrics map[string][]float64, fillsNothing bool) []float64 {
	t.Helper()
	if rest := strings.TrimSpace(mathToken.ReplaceAllString(expression, "")); rest != "" {
		t.Fatalf("the evaluator does not know %q in %q", rest, expression)
	}
	m := &metricMath{t: t, tokens: mathToken.FindAllString(expression, -1), metrics: metrics, fillsNothing: fillsNothing}
	result := m.binary(0)
	if len(m.tokens) > 0 || result.series == nil {
		t.Fatalf("%q is no time series up to %q", expression, m.tokens)
	}
	return result.series
}

// next takes the next token, which must be the wanted one if there is any.
func (m *metricMath) next(want string) string {
	m.t.Helper()
	if len(m.tokens) == 0 || want != "" && m.tokens[0] != want {
		m.t.Fatalf("the expression goes on with %q, want %q", m.tokens, want)
	}
	token := m.tokens[0]
	m.tokens = m.tokens[1:]
	return token
}

// The operators, from those that bind least. Of a pair of series, a value that only one lacks counts as 0.
var mathOperators = []map[string]func(a, b float64) float64{
	{"AND": func(a, b float64) float64 { return truth(a != 0 && b != 0) }},
	{"<": func(a, b float64) float64 { return truth(a < b) }, ">": func(a, b float64) float64 { return truth(a > b) }},
	{"+": func(a, b float64) float64 { return a + b }, "-": func(a, b float64) float64 { return a - b }},
	{"*": func(a, b float64) float64 { return a * b }},
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (m *metricMath) binary(level int) operand {
	if level == len(mathOperators) {
		return m.primary()
	}
	left := m.binary(level + 1)
	for len(m.tokens) > 0 && mathOperators[level][m.tokens[0]] != nil {
		operator := mathOperators[level][m.next("")]
		left = m.pairwise(operator, left, m.binary(level+1))
	}
	return left
}

func (m *metricMath) pairwise(operator func(a, b float64) float64, a, b operand) operand {
	if a.series == nil && b.series == nil {
		return operand{scalar: operator(a.scalar, b.scalar)}
	}
	pair := a.series != nil && b.series != nil
	result := make([]float64, max(len(a.series), len(b.series)))
	for i := range result {
		x, y := a.at(i), b.at(i)
		switch {
		case math.IsNaN(x) && math.IsNaN(y), !pair && (math.IsNaN(x) || math.IsNaN(y)):
			result[i] = missing
			continue
		case math.IsNaN(x):
			x = 0
		case math.IsNaN(y):
			y = 0
		}
		result[i] = operator(x, y)
	}
	return operand{series: result}
}

func (m *metricMath) primary() operand {
	token := m.next("")
	if number, err := strconv.ParseFloat(token, 64); err == nil {
		return operand{scalar: number}
	}
	if token == "(" {
		inner := m.binary(0)
		m.next(")")
		return inner
	}
	if series, known := m.metrics[token]; known {
		return operand{series: series}
	}
	m.next("(")
	arguments := []operand{m.binary(0)}
	for m.tokens[0] == "," {
		m.next(",")
		arguments = append(arguments, m.binary(0))
	}
	m.next(")")
	return m.call(token, arguments)
}

func (m *metricMath) call(function string, arguments []operand) operand {
	of := arguments[0].series
	result := make([]float64, len(of))
	sum, empty := 0.0, true
	for _, value := range of {
		empty = empty && math.IsNaN(value)
	}
	for i, value := range of {
		result[i] = value
		switch {
		case function == "FILL" && len(arguments) == 2:
			if math.IsNaN(value) && (!empty || m.fillsNothing) {
				result[i] = arguments[1].at(i)
			}
		case function == "RUNNING_SUM" && len(arguments) == 1:
			if !math.IsNaN(value) {
				sum += value
				result[i] = sum
			}
		case function == "IF" && len(arguments) == 3:
			if value == 0 {
				result[i] = arguments[2].at(i)
			} else if !math.IsNaN(value) {
				result[i] = arguments[1].at(i)
			}
		default:
			m.t.Fatalf("the evaluator does not know %s of %d arguments", function, len(arguments))
		}
	}
	return operand{series: result}
}

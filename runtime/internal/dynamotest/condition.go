package dynamotest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// scope is what an expression can refer to.
type scope struct {
	item   Item
	names  map[string]string
	values Item
}

func (s scope) name(word string) string {
	if strings.HasPrefix(word, "#") {
		return s.names[word]
	}
	return word
}

func (s scope) operand(word string) types.AttributeValue {
	if strings.HasPrefix(word, ":") {
		return s.values[word]
	}
	return s.item[s.name(word)]
}

// evaluate knows comparisons, BETWEEN, IN, attribute_exists, attribute_not_exists, begins_with, NOT, AND, OR and parentheses.
// Source: DynamoDB developer guide, Expressions.OperatorsAndFunctions.
func evaluate(expression string, s scope) (bool, error) {
	if expression == "" {
		return true, nil
	}
	p := newParser(expression, s)
	holds := p.or()
	if p.wrong || p.next() != "" {
		return false, validation("the model does not know the expression %q", expression)
	}
	return holds, nil
}

var token = regexp.MustCompile(`[#:]?\w+|<>|<=|>=|[-+=<>(),]`)

// parser is a recursive descent over the words of an expression. Both sides of an operator are always
// parsed, so that the position is right after either.
type parser struct {
	words []string
	scope scope
	wrong bool
}

// newParser returns a parser. It is wrong from the beginning where the expression has something else than words, such as
// the path of a nested attribute.
func newParser(expression string, s scope) *parser {
	rest := token.ReplaceAllString(expression, "")
	return &parser{words: token.FindAllString(expression, -1), scope: s, wrong: strings.TrimSpace(rest) != ""}
}

func (p *parser) or() bool {
	left := p.and()
	for p.accept("OR") {
		right := p.and()
		left = left || right
	}
	return left
}

func (p *parser) and() bool {
	left := p.not()
	for p.accept("AND") {
		right := p.not()
		left = left && right
	}
	return left
}

func (p *parser) not() bool {
	if p.accept("NOT") {
		return !p.not()
	}
	if p.accept("(") {
		inner := p.or()
		p.expect(")")
		return inner
	}
	return p.test()
}

func (p *parser) test() bool {
	switch word := p.next(); word {
	case "attribute_exists", "attribute_not_exists":
		p.expect("(")
		_, exists := p.scope.item[p.scope.name(p.next())]
		p.expect(")")
		return exists == (word == "attribute_exists")
	case "begins_with":
		p.expect("(")
		whole, isText := p.operand().(*types.AttributeValueMemberS)
		p.expect(",")
		prefix, ok := p.operand().(*types.AttributeValueMemberS)
		p.expect(")")
		return isText && ok && strings.HasPrefix(whole.Value, prefix.Value)
	default:
		return p.compare(p.scope.operand(word))
	}
}

func (p *parser) operand() types.AttributeValue { return p.scope.operand(p.next()) }

// compare reads what follows the left side of a comparison.
func (p *parser) compare(left types.AttributeValue) bool {
	switch operator := p.next(); strings.ToUpper(operator) {
	case "=":
		right := p.operand()
		return left != nil && text(left) == text(right)
	case "<>":
		return text(left) != text(p.operand())
	case "<", "<=", ">", ">=":
		return p.ordered(left, operator, p.operand())
	case "BETWEEN":
		low := p.ordered(left, ">=", p.operand())
		p.expect("AND")
		high := p.ordered(left, "<=", p.operand())
		return low && high
	case "IN":
		p.expect("(")
		found := []string{text(p.operand())}
		for p.accept(",") {
			found = append(found, text(p.operand()))
		}
		p.expect(")")
		return left != nil && slices.Contains(found, text(left))
	}
	p.wrong = true
	return false
}

// ordered compares two numbers or two texts. Values of different types, and one that is not there, are in no order.
func (p *parser) ordered(left types.AttributeValue, operator string, right types.AttributeValue) bool {
	var order int
	a, b := rational(left), rational(right)
	c, isText := left.(*types.AttributeValueMemberS)
	d, alsoText := right.(*types.AttributeValueMemberS)
	switch {
	case a != nil && b != nil:
		order = a.Cmp(b)
	case isText && alsoText:
		order = cmp.Compare(c.Value, d.Value)
	default:
		return false
	}
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *parser) accept(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.wrong = true
	}
}

package dynamotest

import (
	"regexp"
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

// evaluate knows comparisons, attribute_exists, attribute_not_exists, NOT, AND, OR and parentheses.
func evaluate(expression string, s scope) (bool, error) {
	if expression == "" {
		return true, nil
	}
	p := &parser{words: token.FindAllString(expression, -1), scope: s}
	holds := p.or()
	if p.wrong || p.next() != "" {
		return false, validation("the model does not know the expression %q", expression)
	}
	return holds, nil
}

var token = regexp.MustCompile(`[#:]?\w+|<>|<=|>=|[=<>(),]`)

// parser is a recursive descent over the words of an expression. Both sides of an operator are always
// parsed, so that the position is right after either.
type parser struct {
	words []string
	scope scope
	wrong bool
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
	default:
		return p.compare(p.scope.operand(word), p.next(), p.scope.operand(p.next()))
	}
}

func (p *parser) compare(left types.AttributeValue, operator string, right types.AttributeValue) bool {
	switch operator {
	case "=":
		return left != nil && text(left) == text(right)
	case "<>":
		return text(left) != text(right)
	}
	a, b := rational(left), rational(right)
	if a == nil || b == nil {
		return false
	}
	switch operator {
	case "<":
		return a.Cmp(b) < 0
	case "<=":
		return a.Cmp(b) <= 0
	case ">":
		return a.Cmp(b) > 0
	case ">=":
		return a.Cmp(b) >= 0
	}
	p.wrong = true
	return false
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

package access

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// word matches the parts of an expression: names, placeholders, operators and everything else by one character.
// Source: DynamoDB developer guide, Expressions.
var word = regexp.MustCompile(`[#:]?[A-Za-z0-9_]+|<=|>=|<>|\S`)

func expressionWords(expression string) []string { return word.FindAllString(expression, -1) }

// keywords are the words of expressions that are no attributes.
// Source: DynamoDB developer guide, Expressions.OperatorsAndFunctions and Expressions.UpdateExpressions.
var keywords = []string{"and", "or", "not", "between", "in", "set", "remove", "add", "delete"}

// addAttributes adds to dynamodb:Attributes the top-level attributes that a call reads or writes.
func addAttributes(context iam.Context, c call) {
	note := func(name string) { add(context, "dynamodb:attributes", name) }
	for _, item := range append([]map[string]attribute{c.Item, c.Key}, c.Keys...) {
		for _, name := range sortedKeys(item) {
			note(name)
		}
	}
	for _, name := range sortedKeys(c.KeyConditions) {
		note(name)
	}
	for _, filter := range []map[string]json.RawMessage{c.QueryFilter, c.ScanFilter, c.Expected, c.AttributeUpdates} {
		for _, name := range sortedKeys(filter) {
			note(name)
		}
	}
	for _, name := range c.AttributesToGet {
		note(name)
	}
	for _, expression := range []string{c.ProjectionExpression, c.KeyConditionExpression, c.FilterExpression, c.UpdateExpression, c.ConditionExpression} {
		for _, name := range c.attributesIn(expression) {
			note(name)
		}
	}
}

// attributesIn returns the top-level attributes of an expression.
func (c call) attributesIn(expression string) []string {
	words := expressionWords(expression)
	var names []string
	for i, w := range words {
		nested := i > 0 && (words[i-1] == "." || words[i-1] == "[")
		function := i+1 < len(words) && words[i+1] == "("
		if nested || function || slices.Contains(keywords, strings.ToLower(w)) {
			continue
		}
		if name := c.nameOf(w); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// nameOf returns the attribute that a word of an expression names, or "" for a word that names none.
func (c call) nameOf(w string) string {
	switch first := w[0]; {
	case first == '#':
		return c.ExpressionAttributeNames[w]
	case first == '_' || first >= 'a' && first <= 'z' || first >= 'A' && first <= 'Z':
		return w
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

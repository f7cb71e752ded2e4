package topics

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// What a filter policy is about. Source: SNS developer guide, sns-message-filtering-scope.
const (
	scopeAttributes = "MessageAttributes"
	scopeBody       = "MessageBody"
)

// Limits of a filter policy. Source: SNS developer guide, subscription-filter-policy-constraints.
const (
	maxKeys         = 5
	maxCombinations = 150
)

// A filter reports whether a subscription accepts a message. The zero value accepts all.
type filter struct {
	policy *pattern.Pattern
	body   bool // the policy is about the body, not about the attributes
}

// newFilter compiles a filter policy.
func newFilter(policy json.RawMessage, scope string) (filter, error) {
	var fields map[string]any
	if err := json.Unmarshal(policy, &fields); err != nil {
		return filter{}, fmt.Errorf("it must be a JSON object: %w", err)
	}
	f := filter{body: scope == scopeBody}
	if len(fields) == 0 {
		return f, nil // accepts all
	}
	c, err := costOf(fields, 1, !f.body)
	if err != nil {
		return filter{}, err
	}
	switch {
	case c.keys > maxKeys:
		return filter{}, fmt.Errorf("it must have at most %d keys, got %d", maxKeys, c.keys)
	case c.combinations > maxCombinations:
		return filter{}, fmt.Errorf("it must have at most %d combinations of values, got %d", maxCombinations, c.combinations)
	}
	f.policy, err = pattern.Compile(policy, pattern.Topics)
	return f, err
}

// A cost is what SNS limits in a filter policy.
type cost struct{ keys, combinations int }

// costOf returns the keys and the combinations of values of an object of a policy. The values of a nested key count as often
// as it is deep, and alternatives add up. A policy about attributes, which is flat, must not nest.
// Source: SNS developer guide, subscription-filter-policy-constraints.
func costOf(fields map[string]any, depth int, flat bool) (cost, error) {
	total := cost{combinations: 1}
	for name, value := range fields {
		var one cost
		switch value := value.(type) {
		case []any:
			one = cost{1, len(value) * depth}
			if name == "$or" {
				one = cost{}
				for _, alternative := range value {
					nested, _ := alternative.(map[string]any) // the pattern's compiler refuses others
					c, err := costOf(nested, depth, flat)
					if err != nil {
						return cost{}, err
					}
					one.keys, one.combinations = one.keys+c.keys, one.combinations+c.combinations
				}
			}
		case map[string]any:
			if flat {
				return cost{}, fmt.Errorf("it must not be nested, because its scope is %s, got an object at %q", scopeAttributes, name)
			}
			var err error
			if one, err = costOf(value, depth+1, flat); err != nil {
				return cost{}, err
			}
		}
		total.keys, total.combinations = total.keys+one.keys, total.combinations*max(1, one.combinations)
	}
	return total, nil
}

// accepts reports whether a message passes. One whose body is not a JSON object passes no policy about the body.
func (f filter) accepts(m Message) bool {
	if f.policy == nil {
		return true
	}
	if f.body {
		matched, err := f.policy.MatchJSON([]byte(m.Body))
		return err == nil && matched
	}
	// A message without attributes passes no policy, not even one that asks for the absence of an attribute.
	// Source: SNS developer guide, attribute-key-matching.
	if len(m.Attributes) == 0 {
		return false
	}
	matched, err := f.policy.MatchJSON(m.event())
	return err == nil && matched
}

// event returns the attributes as the JSON object that a filter policy is matched against. Attributes of the type Binary
// are not in it. Source: SNS developer guide, subscription-filter-policy-constraints.
func (m Message) event() []byte {
	fields := map[string]any{}
	for name, a := range m.Attributes {
		switch kind, _, _ := strings.Cut(a.Type, "."); {
		case a.Type == typeArray || kind == typeNumber:
			if json.Valid([]byte(a.Value)) {
				fields[name] = json.RawMessage(a.Value)
			}
		case kind == typeString:
			fields[name] = a.Value
		}
	}
	return encode(fields)
}

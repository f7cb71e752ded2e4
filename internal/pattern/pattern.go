package pattern

import (
	"fmt"
	"unicode/utf8"
)

// A Dialect is the set of operators that a pattern may use, and its length: pipes have fewer operators than rules.
type Dialect int

// The dialects.
const (
	// Rules is the dialect of a rule's EventPattern and of TestEventPattern.
	Rules Dialect = iota
	// Pipes is the dialect of a pipe's filter: no wildcard, and anything-but takes values only.
	// Source: EventBridge user guide, eb-create-pattern-operators, column "Pipe support".
	Pipes
	// Topics is the dialect of the filter policy of a topic's subscription. The caller checks what SNS limits beside the
	// length: how many fields and values a policy has.
	// Source: SNS developer guide, sns-subscription-filter-policies.
	Topics
)

// The maximum lengths of patterns, in characters.
const (
	// MaxRuleLength is the default quota of a rule's pattern; AWS raises it to 4,096 on request.
	// Source: EventBridge user guide, eb-quota.
	MaxRuleLength = 2048
	// MaxFilterLength is the limit of one filter of a pipe. The caller checks how many filters a pipe has. Source: EventBridge Pipes API reference, Filter.
	MaxFilterLength = 4096
	// MaxPolicyLength is the limit of a subscription's filter policy. Source: SNS developer guide,
	// subscription-filter-policy-constraints.
	MaxPolicyLength = 256 << 10
)

// maxBranches limits the combinations that the $or of one pattern result in.
// Source: EventBridge user guide, eb-create-pattern-operators, "Or" matching.
const maxBranches = 1000

// An InvalidError is the reason why AWS would refuse a pattern: with InvalidEventPatternException in EventBridge's API.
type InvalidError struct {
	// Path is the field that the reason is about, for example "detail.state"; empty for the whole pattern.
	Path string
	// Reason is in AWS's words where they are known.
	Reason string
}

// Error returns the error as EventBridge words it.
func (e *InvalidError) Error() string {
	if e.Path == "" {
		return "Event pattern is not valid. Reason: " + e.Reason
	}
	return fmt.Sprintf("Event pattern is not valid. Reason: %s at %s", e.Reason, e.Path)
}

// A Pattern is a compiled event pattern. It is safe for concurrent use.
type Pattern struct {
	root     *step
	fields   int
	branches []branch
}

// Compile compiles a pattern. Its error is an *InvalidError.
//
// As in AWS, a field named twice counts with its last value, and a dot in a name is the same as nesting:
// {"a.b": [1]} is {"a": {"b": [1]}}.
func Compile(pattern []byte, dialect Dialect) (*Pattern, error) {
	limit, what := MaxRuleLength, "the default quota of a rule's pattern"
	switch dialect {
	case Pipes:
		limit, what = MaxFilterLength, "the limit of a pipe's filter"
	case Topics:
		limit, what = MaxPolicyLength, "the limit of a subscription's filter policy"
	case Rules:
	}
	if n := utf8.RuneCount(pattern); n > limit {
		return nil, &InvalidError{Reason: fmt.Sprintf("%d characters are more than %d, %s", n, limit, what)}
	}
	root, err := parse(pattern)
	if err != nil {
		return nil, &InvalidError{Reason: err.Error()}
	}
	if root.kind != object {
		return nil, &InvalidError{Reason: "Filter is not an object"}
	}
	c := compiler{dialect: dialect}
	alternatives, err := c.object([]fields{{}}, path{}, root, false)
	if err != nil {
		return nil, err
	}
	return assemble(alternatives), nil
}

// Match reports whether the event matches the pattern. Where several fields of the pattern lie in one array of the
// event, its time grows with the square of the array's length.
func (p *Pattern) Match(event Event) bool {
	values := collect(p.root, event, p.fields)
	for _, b := range p.branches {
		if b.matches(values) {
			return true
		}
	}
	return false
}

// MatchJSON decodes the event and reports whether it matches. It returns an error when event is not one JSON object.
func (p *Pattern) MatchJSON(event []byte) (bool, error) {
	decoded, err := Decode(event)
	if err != nil {
		return false, err
	}
	return p.Match(decoded), nil
}

// Package pattern matches JSON events against EventBridge event patterns: the patterns of rules, the filters of
// pipes, and the filter policies of SNS subscriptions, which have the same operators. It follows AWS's documentation, and where that is silent aws/event-ruler, the matcher that AWS has published
// and uses.
//
//	p, err := pattern.Compile([]byte(`{"detail": {"version": [{"numeric": [">", 0]}]}}`), pattern.Rules)
//	matched, err := p.MatchJSON(event)
//
// It differs from AWS in two ways: the limit of the complexity of wildcards, which AWS does not document, is measured for
// each field alone, and an error names the path of the field instead of the position of a character.
//
// Sources: EventBridge user guide, eb-create-pattern, eb-create-pattern-operators, eb-event-patterns-arrays,
// eb-event-patterns-null-values; README of github.com/aws/event-ruler.
package pattern

// Package pattern matches JSON events against EventBridge event patterns: the patterns of rules and the
// filters of pipes. It takes AWS's documentation at its word, and where that is silent it does as
// aws/event-ruler does, the matcher that AWS published and runs.
//
//	p, err := pattern.Compile([]byte(`{"detail": {"version": [{"numeric": [">", 0]}]}}`), pattern.Rules)
//	matched, err := p.MatchJSON(event)
//
// Two things differ from AWS: a wildcard is never refused for being too complex, because AWS publishes no
// bound; and the character where an error lies is not given, but the path of the field is.
//
// Sources: EventBridge user guide, eb-create-pattern, eb-create-pattern-operators, eb-event-patterns-arrays,
// eb-event-patterns-null-values; README of github.com/aws/event-ruler.
package pattern

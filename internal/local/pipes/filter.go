package pipes

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// maxFilters limits the patterns of a filter. Source: Pipes API reference, FilterCriteria.
const maxFilters = 5

// addedFields are those that are added to a message when it is received, so that no pattern sees them.
// Source: EventBridge user guide, eb-pipes-event-filtering.
var addedFields = []string{"awsRegion", "eventSource", "eventSourceARN"}

// patterns returns the patterns of the filter.
func (p *properties) patterns() []string {
	var patterns []string
	for _, f := range p.SourceParameters.FilterCriteria.Filters {
		patterns = append(patterns, f.Pattern)
	}
	return patterns
}

// compileFilter returns a function that reports whether one of the patterns matches a record, or nil when there is no
// pattern.
func compileFilter(sourceARN string, filters []string) (func(Record) bool, error) {
	var problems problems
	problems.require(len(filters) <= maxFilters, "FilterCriteria must have at most %d filters, got %d", maxFilters, len(filters))
	var patterns []*pattern.Pattern
	for _, f := range filters {
		compiled, err := pattern.Compile([]byte(f), pattern.Pipes)
		problems.add(err)
		if service(sourceARN) == "sqs" {
			problems.refuseAdded(f)
		}
		patterns = append(patterns, compiled)
	}
	if len(filters) == 0 || problems != nil {
		return nil, problems.joined()
	}
	return func(r Record) bool {
		event, err := pattern.Decode([]byte(jsontext.Compact(messages.ParseBody(r.Event))))
		if err != nil {
			return false // a record is always a JSON object
		}
		for _, p := range patterns {
			if p.Match(event) {
				return true
			}
		}
		return false
	}, nil
}

// refuseAdded adds a problem for each field of a pattern that no message has.
func (p *problems) refuseAdded(text string) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &fields) // a pattern that is no object was refused
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p.require(!slices.Contains(addedFields, name), "FilterCriteria must match what a message has when it is sent, got %q, which is added when it is received", name)
	}
}

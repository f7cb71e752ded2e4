package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/local/hop"
	"github.com/outboxkit/transactional-outbox/test/chaos/history"
)

// repeats are the faults after which a pipe may send what it has sent before.
var repeats = []string{"stream.", "pipe.", "bus.", KillRun, KillTables}

// republished finds events that a pipe put on the bus more than once although no fault made it. Consumers
// with an inbox would bear it; but then something else than a new outbox item became an event. It cannot
// be told which records a fault makes a pipe send again, so any that fired before excuses it.
func republished(entries []history.Entry) []Violation {
	var found []Violation
	sent := map[string]bool{}
	for _, e := range entries {
		switch e.Kind {
		case history.KindFault:
			if slices.ContainsFunc(repeats, func(prefix string) bool { return strings.HasPrefix(e.Fault.Point, prefix) }) {
				return found
			}
		case history.KindHop:
			if e.Hop.Stage != hop.Pipe || e.Hop.Outcome != hop.OK {
				continue
			}
			for _, id := range e.Hop.EventIDs {
				if sent[id] {
					found = append(found, Violation{Rule: Republished, Event: id, Text: fmt.Sprintf("event %s was put on the bus again, and no fault accounts for it", id)})
				}
				sent[id] = true
			}
		case history.KindCall, history.KindPhase, history.KindEvent, history.KindObject, history.KindEffect, history.KindLetter:
		}
	}
	return found
}

package functions

import "github.com/outboxkit/transactional-outbox/internal/local/hop"

// logLine passes on a line that the function wrote.
func (e *environment) logLine(line string) {
	e.fn.report(e.lastCause(), hop.Hop{Stage: hop.Function, Outcome: hop.OK, Detail: line})
}

func (e *environment) setCause(c hop.Cause) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cause = c
}

func (e *environment) lastCause() hop.Cause {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cause
}

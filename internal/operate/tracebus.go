package operate

import (
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// passedBefore fills in by when each event was on the bus: it had its first effect then.
func (t *Trace) passedBefore() {
	for i := range t.Events {
		e := &t.Events[i]
		for _, c := range e.Consumers {
			if c.State == Effective {
				e.OnBusBefore = firstOf(e.OnBusBefore, c.At)
			}
		}
	}
}

// passedAt fills in when each event came to the bus, by what rules and consumers have put into dead-letter queues.
func (t *Trace) passedAt(letters map[string]*Reading[*audit.DeadLetters]) {
	for i := range t.Events {
		e := &t.Events[i]
		for _, r := range letters {
			if !r.known() {
				continue
			}
			for _, m := range r.Value.Messages {
				if m.EventID == e.ID && m.Source == e.Source {
					e.OnBusAt = firstOf(e.OnBusAt, inUTC(m.Time))
				}
			}
		}
	}
}

// firstOf returns the earlier of two times, of which either may be none.
func firstOf(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// onBus returns in words what is known of when the event was on the bus.
func (e TracedEvent) onBus() string {
	switch {
	case !e.OnBusAt.IsZero():
		return "at " + e.OnBusAt.Format("2006-01-02 15:04:05 UTC")
	case !e.OnBusBefore.IsZero():
		return "yes, before " + clock(e.OnBusBefore)
	}
	return "not known"
}

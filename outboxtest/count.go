package outboxtest

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// A Count is how often something has happened to an event at a consumer.
type Count struct {
	t        testing.TB
	event    *Event
	consumer local.Consumer
	thing    string
	n        int
}

// N returns the number.
func (c Count) N() int { return c.n }

// Is checks that it is n, and shows the event's timeline where it is not.
func (c Count) Is(n int) {
	c.t.Helper()
	if c.n != n {
		c.t.Errorf("%s has had %s with %s, want %d.\n%s", c.consumer.Name, count(c.n, c.thing), c.event, n, c.event.run.timeline(c.event.ID, c.consumer))
	}
}

// Effects waits until the consumer has nothing to do with the event any more, and returns how often it has had an effect: how
// many writes of its function have been committed to tables that name the event, as those of runtime/inbox do. A batch that
// handles several events in one write counts for each of them.
func (e *Event) Effects(t testing.TB, consumer string) Count {
	t.Helper()
	c, d := e.settled(t, consumer)
	return Count{t, e, c, "effect", d.Effects}
}

// Attempts waits until the consumer has nothing to do with the event any more, and returns how many messages with it the
// function was invoked with.
func (e *Event) Attempts(t testing.TB, consumer string) Count {
	t.Helper()
	c, d := e.settled(t, consumer)
	return Count{t, e, c, "attempt", d.Receives}
}

// settled waits until a consumer has nothing to do with the event any more.
func (e *Event) settled(t testing.TB, consumer string) (local.Consumer, events.Delivery) {
	t.Helper()
	c := e.run.consumer(t, consumer)
	return c, e.await(t, c, consumer+" is not done with", func(d events.Delivery) outcome {
		switch d.State {
		case events.Handled, events.DeadLetter, events.Dropped:
			return done
		default:
			return pending
		}
	})
}

package outboxtest

import (
	"context"
	"slices"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// Event waits for an event that all matchers match, and returns the oldest of them. One of the matchers must leave out the
// events of other tests in the same run, for example [Aggregate].
func (r *Run) Event(t testing.TB, which ...Matcher) *Event {
	t.Helper()
	all := matchers(which)
	if err := r.check(all); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	var found *Event
	why, ok := r.await(t, func() outcome {
		if found = r.find(all); found == nil {
			return pending
		}
		return done
	})
	if !ok {
		t.Fatalf("no event with %s has come%s.\n%s", all, why, r.latest(all))
	}
	r.see(found.ID)
	return found
}

// find returns the oldest event that a bus has accepted and that matches.
func (r *Run) find(all matchers) (found *Event) {
	for _, e := range r.stack.Events().List(events.Query{Limit: maxEvents, Heartbeat: true}).Events {
		if !all.match(newEvent(e, r)) {
			continue
		}
		if whole, known := r.stack.Events().Get(e.ID); known && whole.Payload != nil {
			found = newEvent(whole, r)
		}
	}
	return found
}

// maxEvents is more than a run keeps.
const maxEvents = 1 << 30

// now returns what the run knows of the event now.
func (e *Event) now() events.Event {
	now, _ := e.run.stack.Events().Get(e.ID)
	return now
}

// consumer returns the consumer of that name, or fails the test.
func (r *Run) consumer(t testing.TB, name string) local.Consumer {
	t.Helper()
	c, err := r.stack.Consumer(name)
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	return c
}

// HandledBy waits until each of the consumers has handled the event. It fails the test as soon as one of them cannot any more,
// because the event is a dead letter, was dropped, or matches no rule of the consumer's.
func (e *Event) HandledBy(t testing.TB, consumers ...string) {
	t.Helper()
	for _, name := range consumers {
		c := e.run.consumer(t, name)
		e.await(t, c, name+" has not handled", func(d events.Delivery) outcome {
			switch d.State {
			case events.Handled:
				return done
			case events.DeadLetter, events.Dropped:
				return hopeless
			default:
				return pending
			}
		})
	}
}

// FailedBy waits until the consumer has failed on the event and tries again later: see [Event.RetryNow].
func (e *Event) FailedBy(t testing.TB, consumer string) {
	t.Helper()
	e.await(t, e.run.consumer(t, consumer), consumer+" has not failed on", func(d events.Delivery) outcome {
		switch d.State {
		case events.Retrying:
			return done
		case events.Handled, events.DeadLetter, events.Dropped:
			return hopeless
		default:
			return pending
		}
	})
}

// DeadLetteredBy waits until the event waits in the consumer's dead-letter queue, or in that of its rule.
func (e *Event) DeadLetteredBy(t testing.TB, consumer string) {
	t.Helper()
	e.await(t, e.run.consumer(t, consumer), consumer+" has no dead letter of", func(d events.Delivery) outcome {
		switch d.State {
		case events.DeadLetter:
			return done
		case events.Handled, events.Dropped:
			return hopeless
		default:
			return pending
		}
	})
}

// await waits for a state of the event's delivery to a consumer, and fails the test with what has not happened.
func (e *Event) await(t testing.TB, c local.Consumer, not string, is func(events.Delivery) outcome) events.Delivery {
	t.Helper()
	e.run.see(e.ID)
	var d events.Delivery
	why, ok := e.run.await(t, func() outcome {
		now := e.now()
		var found bool
		if d, found = now.Delivery(c.Queue); found {
			return is(d)
		}
		if now.State == events.Unmatched || len(now.Deliveries) > 0 {
			return hopeless // the bus has it, and does not send it there
		}
		return pending
	})
	if !ok {
		t.Fatalf("%s %s%s.\n%s", not, e, why, e.run.timeline(e.ID, c))
	}
	return d
}

// LastFailure returns why the consumer, or the rule that sends to it, has failed on the event last; it is empty where it has not.
func (e *Event) LastFailure(t testing.TB, consumer string) string {
	t.Helper()
	d, _ := e.now().Delivery(e.run.consumer(t, consumer).Queue)
	return reason(d.Reason)
}

// RetryNow makes a consumer that has failed on the event try again at once, as if the visibility timeout of its message were
// over, and waits until that attempt has ended or the message is a dead letter. Other events keep their time.
func (e *Event) RetryNow(t testing.TB, consumer string) {
	t.Helper()
	e.FailedBy(t, consumer)
	c := e.run.consumer(t, consumer)
	before, _ := e.now().Delivery(c.Queue)
	if err := e.run.stack.Release(context.Background(), e.ID, consumer); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	e.attempted(t, c, before)
}

// attemptsEnded waits until a consumer to which a rule sends the event has made an attempt, and none goes on.
func (e *Event) attemptsEnded(t testing.TB, c local.Consumer) (d events.Delivery) {
	t.Helper()
	why, ok := e.run.await(t, func() outcome {
		now := e.now()
		var found bool
		d, found = now.Delivery(c.Queue)
		switch {
		case !found && (now.State == events.Unmatched || len(now.Deliveries) > 0):
			return done // no rule sends it there
		case found && slices.Contains([]events.State{events.Handled, events.Retrying, events.DeadLetter, events.Dropped}, d.State):
			return done
		}
		return pending
	})
	if !ok {
		t.Fatalf("%s has not ended its attempt at %s%s.\n%s", c.Name, e, why, e.run.timeline(e.ID, c))
	}
	return d
}

// attempted waits until a consumer has made another attempt than before.
func (e *Event) attempted(t testing.TB, c local.Consumer, before events.Delivery) {
	t.Helper()
	e.await(t, c, c.Name+" has not tried again with", func(d events.Delivery) outcome {
		switch {
		case d.State == events.DeadLetter && before.State != events.DeadLetter:
			return done
		case d.Receives > before.Receives && slices.Contains([]events.State{events.Handled, events.Retrying}, d.State):
			return done
		}
		return pending
	})
}

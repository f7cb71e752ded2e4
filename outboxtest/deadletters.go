package outboxtest

import (
	"slices"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// NoDeadLetters waits until all events of this test have come to their end, and checks that none of them is a dead letter, was
// lost, or is still being retried. The events of a test are those that it has published, found or faulted by this Run, and all
// to which the handling of these has led. Events of other tests do not count.
func (r *Run) NoDeadLetters(t testing.TB) {
	t.Helper()
	bad := []events.State{events.DeadLetter, events.Dropped}
	why, _ := r.await(t, func() outcome {
		at := done
		for _, e := range r.mine() {
			switch {
			case slices.Contains(bad, e.State):
				return hopeless
			case e.State != events.Handled && e.State != events.Unmatched:
				at = pending
			}
		}
		return at
	})
	for _, e := range r.mine() {
		switch {
		case slices.Contains(bad, e.State):
			t.Errorf("%s is %s.\n%s", newEvent(e, r), map[events.State]string{events.DeadLetter: "a dead letter", events.Dropped: "lost"}[e.State], r.timeline(e.ID, local.Consumer{}))
		case e.State != events.Handled && e.State != events.Unmatched && !r.anyIs(bad):
			t.Errorf("%s has not come to its end%s: it is %s.\n%s", newEvent(e, r), why, e.State, r.timeline(e.ID, local.Consumer{}))
		}
	}
}

func (r *Run) anyIs(states []events.State) bool {
	return slices.ContainsFunc(r.mine(), func(e events.Event) bool { return slices.Contains(states, e.State) })
}

// mine returns the events of this test, the oldest first.
func (r *Run) mine() (mine []events.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.stack.Events().List(events.Query{Limit: maxEvents, Heartbeat: true}).Events
	slices.Reverse(all)
	ids := map[string]bool{}
	for _, e := range all {
		if r.seen[e.ID] || ids[e.CausationID] {
			ids[e.ID] = true
			mine = append(mine, e)
		}
	}
	return mine
}

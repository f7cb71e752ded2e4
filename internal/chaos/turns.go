package chaos

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
)

// A turn is something that happens to the run once that share of the orders is done.
type turn struct {
	after float64
	name  string
	take  func(context.Context) error
	// puts is the turn that this one puts right, and lasts how much longer, as a share of all orders, that one has to last.
	puts  *turn
	lasts float64

	taken int // how many orders were done when it had been taken
}

// turns returns the kills and mistakes of the plan and the consumer that joins, in their order.
func (r *runner) turns() []*turn {
	var all []*turn
	for _, k := range r.Plan.Kills {
		all = append(all, &turn{after: k.After, name: k.Point, take: func(ctx context.Context) error { return r.cluster.kill(ctx, k) }})
	}
	for _, m := range r.Plan.Mistakes {
		if m.Kind == check.DeadLettersEmptied {
			continue
		}
		o := &operator{cluster: r.cluster, log: r.log, stack: r.stack, mistake: m}
		begin := &turn{after: m.After, name: m.Kind, take: o.begin}
		all = append(all, begin, &turn{after: m.Until, name: m.Kind + " is over", take: o.end, puts: begin, lasts: m.Until - m.After})
	}
	if r.joining() {
		all = append(all, &turn{after: r.Plan.Join, name: "a consumer joins", take: r.join})
	}
	slices.SortStableFunc(all, func(a, b *turn) int { return cmp.Compare(a.after, b.after) })
	return all
}

// schedule says which turn is due. A turn may take long, and the orders go on: what it is to put right has lasted for its
// share of the orders nevertheless.
type schedule struct {
	orders float64

	mu       sync.Mutex
	changed  *sync.Cond
	turns    []*turn
	finished int
	over     bool
}

func newSchedule(turns []*turn, orders int) *schedule {
	s := &schedule{turns: turns, orders: float64(orders)}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// next waits until the next turn is due and returns it, or nil when there is none.
func (s *schedule) next() *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.turns) > 0 && !s.isDue(s.turns[0]) {
		s.changed.Wait()
	}
	if len(s.turns) == 0 {
		return nil
	}
	t := s.turns[0]
	s.turns = s.turns[1:]
	return t
}

// isDue reports whether it is the turn's time. When all orders are done, it is that of all that are left.
func (s *schedule) isDue(t *turn) bool {
	done := float64(s.finished)
	if s.over {
		return true
	}
	return done >= t.after*s.orders && (t.puts == nil || done >= float64(t.puts.taken)+t.lasts*s.orders)
}

// took notes that a turn has been taken.
func (s *schedule) took(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.taken = s.finished
}

// done notes that one more order is done.
func (s *schedule) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished++
	s.changed.Broadcast()
}

// end notes that no more orders are placed.
func (s *schedule) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.changed.Broadcast()
}

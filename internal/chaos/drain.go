package chaos

import (
	"context"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

const (
	// lookEvery is the pause between two looks at whether something still moves.
	lookEvery = 250 * time.Millisecond
	// stillFor is how long nothing may have happened for the run to count as drained.
	stillFor = 1500 * time.Millisecond
	// faultsLast is how long faults go on, while something moves, after the last order was placed. On a fast
	// machine that is before the first of them is handled.
	faultsLast = 5 * time.Second
)

// waitForAllFaults lets the faults go on until each has fired, and what was placed has met them.
func (r *runner) waitForAllFaults(ctx context.Context) error {
	began := time.Now()
	return until(ctx, func() (bool, error) {
		still := r.cluster.quiet()
		if still > r.Patience {
			return true, nil
		}
		met := still > stillFor || time.Since(began) > faultsLast
		return met && len(check.NeverFired(r.log.Entries(), r.rules.Enabled)) == 0, nil
	})
}

// settle waits until nothing moves any more and notes the state. It is drained when the queues are empty, no
// hop was made for a while, and nothing that is owed is missing. If something stays missing, the state
// is noted as it is once the run has stood still for Patience: no announcement says that a lost event will
// never come.
func (r *runner) settle(ctx context.Context, phase history.PhaseName) error {
	began := time.Now()
	return until(ctx, func() (bool, error) { return r.look(ctx, phase, began) })
}

// until looks again and again until it is done.
func until(ctx context.Context, look func() (done bool, err error)) error {
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// look reports whether nothing moves any more. If so, it has noted the state.
func (r *runner) look(ctx context.Context, phase history.PhaseName, began time.Time) (bool, error) {
	current, err := r.cluster.current(ctx)
	if err != nil {
		return false, err
	}
	still := r.cluster.quiet()
	left, err := waiting(ctx, current, r.queues)
	if err != nil {
		return false, err
	}
	if r.held, err = waiting(ctx, current, r.ordered); err != nil {
		return false, err
	}
	if phase == history.Redriven && len(r.Plan.Mistakes) == 0 || phase == history.Repaired {
		left += r.held
	}
	outOfPatience := min(still, time.Since(began)) > r.Patience
	if (still < stillFor || left > 0) && !outOfPatience {
		return false, nil
	}
	state, err := r.read(ctx, current)
	if err != nil {
		return false, err
	}
	if r.missing(state, phase) && !outOfPatience {
		return false, nil
	}
	r.say("%s after %s: %d events, %d effects, %d dead-letter messages", phase, time.Since(began).Round(time.Millisecond), len(state.Events), len(state.Effects), len(state.DeadLetters))
	r.log.Phase(history.Phase{Name: phase})
	r.log.State(state)
	return true, nil
}

// missing reports whether something is owed and not there yet.
func (r *runner) missing(state history.State, phase history.PhaseName) bool {
	var so history.Log
	for _, e := range r.log.Entries() {
		switch e.Kind {
		case history.KindCall:
			so.Call(*e.Call)
		case history.KindHop:
			so.Hop(*e.Hop)
		case history.KindMistake:
			so.Add(e)
		default: // faults, and earlier states
		}
	}
	so.Phase(history.Phase{Name: phase})
	so.State(state)
	for _, v := range check.Judge(so.Entries(), check.Rules{Consumers: r.consumers}).Violations {
		if v.Rule == check.Lost {
			return true
		}
	}
	return false
}

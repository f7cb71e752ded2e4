package running

import (
	"context"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// next is the key on the page for a fault that happens to whatever comes next.
const next = "*"

// Faults returns the faults that can be injected, and what they do now.
func (r *Run) Faults(context.Context) ([]page.Fault, error) {
	var all []page.Fault
	for _, s := range r.session.Faults().Settings() {
		f := page.Fault{Point: string(s.Point), What: s.Point.Meaning(), Rate: s.Rate, Fired: s.Fired}
		for _, once := range s.Once {
			if f.Once = once.Key; f.Once == "" {
				f.Once = next
			}
		}
		all = append(all, f)
	}
	return all, nil
}

// SetFault switches a fault on or off.
func (r *Run) SetFault(_ context.Context, s page.FaultSwitch) error {
	injector, point := r.session.Faults(), faults.Point(s.Point)
	if err := injector.SetRate(point, s.Rate); err != nil {
		return err
	}
	if s.Once == "" {
		return nil
	}
	key := s.Once
	if key == next {
		key = ""
	}
	injector.Cancel(point, key) // once is once, however often it is asked for
	return injector.Once(faults.Step{Point: point, Key: key})
}

// Heal switches all faults off.
func (r *Run) Heal(context.Context) error {
	r.session.Faults().Heal()
	return nil
}

// Publish puts an event on a bus, which the page names by its logical id.
func (r *Run) Publish(ctx context.Context, e page.Publication) (string, error) {
	bus, ok := r.session.Find(e.Bus)
	if !ok {
		return "", fmt.Errorf("bus must be one of the stack, got %q", e.Bus)
	}
	return r.session.Publish(ctx, local.Publication{Bus: bus.Ref, Source: e.Source, Type: e.Type, Detail: e.Detail})
}

// Deliver sends an event to a consumer again, or to each to which it was sent.
func (r *Run) Deliver(ctx context.Context, eventID, consumer string) error {
	if consumer != "" {
		return r.session.Deliver(ctx, eventID, consumer, 0)
	}
	e, ok := r.session.Events().Get(eventID)
	if !ok {
		return fmt.Errorf("event %q: %w", eventID, page.ErrNotFound)
	}
	for _, d := range e.Deliveries {
		if err := r.session.Deliver(ctx, eventID, r.consumer(d.Target), 0); err != nil {
			return err
		}
	}
	return nil
}

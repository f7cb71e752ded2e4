package deployed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// maxRead is how many items of an outbox table are read where no key leads to an event. `outbox trace --read` reads more.
const maxRead = 10_000

// stateOf returns what a page calls the state of an effect.
var stateOf = map[operate.EffectState]page.EventState{
	operate.Effective: page.Handled, operate.Queued: page.Waiting, operate.Young: page.Moving,
	operate.DeadLettered: page.DeadLettered, operate.Nowhere: page.Missing, operate.Unknowable: page.Unknown,
}

// Events returns the events that an id stands for, as `outbox trace` does: an event's own or an aggregate's.
func (s *Stacks) Events(ctx context.Context, q page.EventQuery) (*page.EventList, error) {
	list := &page.EventList{Events: []page.Event{}, Types: []string{}}
	if q.Text == "" {
		return list, nil
	}
	found, err := s.trace(ctx, q.Text)
	if err != nil {
		return nil, err
	}
	list.Total = len(found)
	for i := len(found) - 1 - q.Offset; i >= 0 && len(list.Events) < q.Limit; i-- {
		list.Events = append(list.Events, event(found[i]))
	}
	return list, nil
}

// Event returns what the tables and queues tell of an event.
func (s *Stacks) Event(ctx context.Context, id string) (*page.Timeline, error) {
	found, err := s.trace(ctx, id)
	if err != nil {
		return nil, err
	}
	e := found[len(found)-1]
	t := &page.Timeline{
		Event: event(e), CorrelationID: e.CorrelationID, CausedBy: e.CausationID,
		Caused: []page.Caused{}, Consumers: []page.Consumer{}, Steps: []page.Step{{At: e.CommittedAt, Kind: page.Committed, Where: "to the outbox table"}},
	}
	for _, c := range e.Caused {
		t.Caused = append(t.Caused, page.Caused{ID: c.ID, Type: c.Type})
	}
	if !e.OnBusAt.IsZero() {
		t.Steps = append(t.Steps, page.Step{At: e.OnBusAt, Kind: page.Moved, Where: "bus"})
	}
	for _, c := range e.Consumers {
		state := stateOf[c.State]
		t.Consumers = append(t.Consumers, page.Consumer{Name: c.Consumer, State: state, At: c.At, Reason: c.Reason})
		if state == page.Handled && !c.At.IsZero() {
			t.Steps = append(t.Steps, page.Step{At: c.At, Kind: page.Effect, Where: c.Consumer})
		}
	}
	return t, nil
}

// trace returns the events that an id stands for, in the order of their versions.
func (s *Stacks) trace(ctx context.Context, id string) ([]operate.TracedEvent, error) {
	stacks, err := s.outboxes()
	if err != nil {
		return nil, err
	}
	var boxes []*operate.Outbox
	for _, stack := range stacks {
		boxes = append(boxes, stack.Outboxes...)
	}
	var problems []error
	for _, box := range boxes {
		trace, err := operate.Tracer{
			Clients: s.clients, Outbox: box, MaximumRead: maxRead,
			Dialog: operate.NewDialog(strings.NewReader(""), io.Discard, false, false),
		}.Trace(ctx, id)
		if err == nil && len(trace.Events) > 0 {
			return trace.Events, nil
		}
		problems = append(problems, err)
	}
	return nil, fmt.Errorf("%w: %w", page.ErrNotFound, errors.Join(problems...))
}

// event returns one line of a list. Its state is the worst of its consumers'.
func event(e operate.TracedEvent) page.Event {
	line := page.Event{
		ID: e.ID, Type: e.Type, Source: e.Source, AggregateType: e.AggregateType, AggregateID: e.AggregateID, Version: e.Version,
		At: e.CommittedAt, State: page.Unmatched,
	}
	var states []page.EventState
	for _, c := range e.Consumers {
		states = append(states, stateOf[c.State])
	}
	if len(states) > 0 {
		line.State = page.Worst(states)
	}
	return line
}

// functionName returns the name of a function from its name or ARN.
func functionName(function string) string { return function[strings.LastIndexByte(function, ':')+1:] }

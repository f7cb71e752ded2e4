package running

import (
	"context"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// Events returns the events that a query selects, the newest first.
func (r *Run) Events(_ context.Context, q page.EventQuery) (*page.EventList, error) {
	found := r.session.Events().List(events.Query{
		Text: q.Text, Type: q.Type, State: events.State(q.State), Skip: q.Offset, Limit: q.Limit, Count: true,
	})
	list := &page.EventList{Events: []page.Event{}, Total: found.Matched, Types: found.Types}
	for _, e := range found.Events {
		list.Events = append(list.Events, line(e))
	}
	return list, nil
}

// line returns one line of a list. The states of the store are those of the page.
func line(e events.Event) page.Event {
	at := e.OccurredAt
	if at.IsZero() {
		at = e.FirstSeen
	}
	return page.Event{
		ID: e.ID, Type: e.Type, Source: e.Source, AggregateType: e.AggregateType, AggregateID: e.AggregateID, Version: e.Version,
		At: at, State: page.EventState(e.State),
	}
}

// Event returns what became of an event. Of one that this run has not seen, such as one of a run before, it returns what the
// tables and queues tell.
func (r *Run) Event(ctx context.Context, id string) (*page.Timeline, error) {
	e, ok := r.session.Events().Get(id)
	if !ok {
		shown, err := r.current(ctx)
		if err != nil {
			return nil, err
		}
		return shown.Event(ctx, id)
	}
	t := &page.Timeline{
		Event: line(e), CorrelationID: e.CorrelationID, CausedBy: e.CausationID, Payload: e.Payload,
		Caused: []page.Caused{}, Consumers: []page.Consumer{}, Steps: []page.Step{},
	}
	for _, led := range r.session.Events().List(events.Query{CausedBy: id}).Events {
		t.Caused = append(t.Caused, page.Caused{ID: led.ID, Type: led.Type})
	}
	for _, d := range e.Deliveries {
		t.Consumers = append(t.Consumers, page.Consumer{Name: r.consumer(d.Target), State: page.EventState(d.State), Receives: d.Receives, Reason: d.Reason})
	}
	for _, s := range e.Steps {
		if step, ok := r.step(s); ok {
			t.Steps = append(t.Steps, step)
		}
	}
	return t, nil
}

// consumer returns the name of the consumer whose queue it is, or of the target itself.
func (r *Run) consumer(target string) string {
	for _, c := range r.session.Consumers() {
		if c.Queue == target {
			return c.Name
		}
	}
	return r.session.NameOf(target)
}

// names returns the names of tables of which a text lists the physical names.
func (r *Run) names(tables string) string {
	all := strings.Split(tables, ", ")
	for i := range all {
		all[i] = r.session.NameOf(all[i])
	}
	return strings.Join(all, ", ")
}

// kinds are what steps are on the page, by their stage.
var kinds = map[hop.Stage]page.StepKind{
	events.Occurred: page.Occurred, events.Commit: page.Committed, events.Fault: page.Faulted, hop.Function: page.Logged, hop.Effect: page.Wrote, hop.Platform: page.Received,
}

// step returns a step for the page, and false for one that says nothing that another one does not.
func (r *Run) step(s events.Step) (page.Step, bool) {
	step := page.Step{
		At: s.At, Kind: kinds[s.Stage], Where: r.session.NameOf(s.Resource), Outcome: string(s.Outcome),
		LatencyMS: float64(s.Latency.Microseconds()) / 1000, Detail: s.Detail,
	}
	if s.Target != "" {
		step.To = r.session.NameOf(s.Target)
	}
	switch s.Stage {
	case events.Occurred:
		step.Where, step.Detail = "at "+s.Detail, ""
	case events.Commit:
		step.Where, step.Detail = "to "+r.names(s.Detail), ""
	case hop.Effect:
		operation, tables, _ := strings.Cut(s.Detail, " ")
		step.Detail = operation + " " + r.names(tables)
	case events.Fault:
		step.Where = s.Resource
	case hop.Function:
		step.Detail = console.LogLine(s.Detail)
		return step, step.Detail != ""
	case hop.Platform:
		step.Detail = ""
		return step, strings.HasPrefix(s.Detail, "START ") || strings.Contains(s.Detail, `"type":"platform.start"`)
	case hop.Queue, hop.Stream:
		step.Kind = page.Moved
		if s.Outcome == hop.OK { // the function has answered
			step.Kind, step.Where, step.To = page.Effect, step.To, ""
		} else if s.Source != "" {
			step.Where = r.session.NameOf(s.Source)
		}
	default:
		step.Kind = page.Moved
	}
	return step, true
}

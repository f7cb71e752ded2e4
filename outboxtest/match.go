package outboxtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// A Matcher says which events a test means.
type Matcher struct {
	text    string
	narrow  bool // it leaves out the events of other tests
	matches func(*Event) bool
}

// ID matches the event with that id: the outbox event's, or EventBridge's of an event without.
func ID(id string) Matcher {
	return Matcher{fmt.Sprintf("id %q", id), true, func(e *Event) bool { return e.ID == id }}
}

// Aggregate matches the events of one aggregate, for example Aggregate("Order", "o-1").
func Aggregate(kind, id string) Matcher {
	return Matcher{fmt.Sprintf("aggregate %s %q", kind, id), true, func(e *Event) bool { return e.AggregateType == kind && e.AggregateID == id }}
}

// CausedBy matches the events to which the handling of an event has led.
func CausedBy(cause *Event) Matcher {
	return Matcher{fmt.Sprintf("caused by %q", cause.ID), true, func(e *Event) bool { return e.CausationID == cause.ID }}
}

// Correlation matches the events of one chain: that with this id, which has begun it, and those that followed.
func Correlation(id string) Matcher {
	return Matcher{fmt.Sprintf("correlation %q", id), true, func(e *Event) bool { return e.CorrelationID == id || e.ID == id }}
}

// Type matches events by their type, which is their detail-type on the bus.
func Type(name string) Matcher {
	return Matcher{"type " + name, false, func(e *Event) bool { return e.Type == name }}
}

// Source matches events by their source.
func Source(name string) Matcher {
	return Matcher{"source " + name, false, func(e *Event) bool { return e.Source == name }}
}

// Version matches the event of an aggregate with that version.
func Version(n int64) Matcher {
	return Matcher{fmt.Sprintf("version %d", n), false, func(e *Event) bool { return e.Version == n }}
}

// Where matches events by what they say; the text names it in messages. It counts as one that leaves out the events of other
// tests, so it has to.
func Where(text string, matches func(*Event) bool) Matcher { return Matcher{text, true, matches} }

// matchers match an event together.
type matchers []Matcher

func (all matchers) match(e *Event) bool {
	for _, m := range all {
		if !m.matches(e) {
			return false
		}
	}
	return true
}

func (all matchers) String() string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = m.text
	}
	return strings.Join(texts, ", ")
}

// check returns an error where the events of other tests in the same run could be meant.
func (r *Run) check(all matchers) error {
	for _, m := range all {
		if m.narrow {
			return nil
		}
	}
	if r.own {
		return nil
	}
	return fmt.Errorf("matchers must leave out the events of other tests in this run: one of ID, Aggregate, CausedBy, Correlation and Where must be among them, got %q; with Own the run has no other tests", all)
}

// An Event is an event that a bus has accepted.
type Event struct {
	ID, Source, Type           string // the type is the detail-type on the bus
	AggregateType, AggregateID string // of an outbox event, as the rest
	Version                    int64
	CorrelationID, CausationID string
	Detail                     json.RawMessage // as targets receive it; of an outbox event: the envelope

	run    *Run // nil for an event in a stub
	number uint64
}

func newEvent(e events.Event, run *Run) *Event {
	var body struct{ Detail json.RawMessage }
	_ = json.Unmarshal(e.Payload, &body) // of an event that has no payload yet
	return &Event{
		ID: e.ID, Source: e.Source, Type: e.Type, AggregateType: e.AggregateType, AggregateID: e.AggregateID, Version: e.Version,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, Detail: body.Detail, run: run, number: e.Number,
	}
}

// Data decodes an outbox event's data, or the detail of an event without. Its error names what does not fit.
func (e *Event) Data(into any) error {
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.Detail, &envelope); err != nil {
		return fmt.Errorf("detail of event %s: %w", e.ID, err)
	}
	data := envelope.Data
	if data == nil {
		data = e.Detail
	}
	// A pipe leaves the text of an attribute as it is: in a string, or in DynamoDB's JSON.
	var attribute struct{ S *string }
	var text string
	switch {
	case json.Unmarshal(data, &attribute) == nil && attribute.S != nil:
		data = json.RawMessage(*attribute.S)
	case json.Unmarshal(data, &text) == nil:
		data = json.RawMessage(text)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("data of event %s: %w", e.ID, err)
	}
	return nil
}

// String names the event.
func (e *Event) String() string {
	if e.AggregateType == "" {
		return fmt.Sprintf("event %s (%s of %s)", e.ID, e.Type, e.Source)
	}
	return fmt.Sprintf("event %s (%s of %s %s, version %d)", e.ID, e.Type, e.AggregateType, e.AggregateID, e.Version)
}

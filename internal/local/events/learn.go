package events

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Accept adds an event that a bus has accepted. An event that comes again, from a pipe that repeats a record or from an
// archive, is the same one.
func (s *Store) Accept(a hop.Accepted) {
	id := hop.EventID(a.Event)
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id, a.At)
	s.describe(r, a.Event)
	r.accepted = true
	for _, target := range a.Targets {
		d := r.delivery(target)
		d.State, d.onBus = Moving, true
	}
	r.add(Step{At: a.At, Stage: hop.Bus, Resource: a.Bus, Outcome: hop.OK, Detail: matching(len(a.Targets))})
	s.touch(r)
}

// Parse returns what an event says.
func Parse(event json.RawMessage) Event {
	e := Event{ID: hop.EventID(event), Payload: event}
	read(event).describe(&e)
	return e
}

// Commit adds an event that a write has added to an outbox. It may come after its first hops.
func (s *Store) Commit(a hop.Added) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(a.ID, a.At)
	if r.Payload == nil {
		r.Source, r.Type, r.Heartbeat = a.Source, a.Type, hop.IsHeartbeat(a.Source)
		r.AggregateType, r.AggregateID, r.Version = a.AggregateType, a.AggregateID, a.Version
		r.CorrelationID, r.CausationID, r.OccurredAt = a.CorrelationID, a.CausationID, a.OccurredAt
	}
	step := Step{At: a.At, Stage: Commit, Resource: a.By, Outcome: hop.OK, Detail: strings.Join(a.With, ", ")}
	after := 0 // the steps that happened before
	for after < len(r.Steps) && r.Steps[after].Stage == Occurred {
		after++
	}
	r.Steps = slices.Insert(r.Steps, after, step)
	r.Last = r.Steps[len(r.Steps)-1]
	s.touch(r)
}

// Has reports whether the store has an event.
func (s *Store) Has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] != nil
}

// Receive adds an event that a mapping has received from its queue, where no bus has told of it: somebody has sent it there,
// or a run before this one.
func (s *Store) Receive(event json.RawMessage) {
	id := hop.EventID(event)
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(id, time.Now()); r.Payload == nil {
		s.describe(r, event)
		s.touch(r)
	}
}

// describe adds what an event says, unless the store knows it. The lock is held.
func (s *Store) describe(r *record, event json.RawMessage) {
	if r.Payload != nil {
		return
	}
	read(event).describe(&r.Event)
	s.setPayload(r, event)
	if !r.OccurredAt.IsZero() {
		r.Steps = append([]Step{{At: r.OccurredAt, Stage: Occurred, Outcome: hop.OK, Detail: r.Source}}, r.Steps...)
	}
}

// Fault adds to the timelines of events that a fault was injected: at which point, and to what.
func (s *Store) Fault(at time.Time, point, key string, eventIDs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range eventIDs {
		r := s.find(id, at)
		r.add(Step{At: at, Stage: Fault, Resource: point, Outcome: hop.OK, Detail: key})
		s.touch(r)
	}
}

// matching says how many targets an event has.
func matching(targets int) string {
	switch targets {
	case 0:
		return "accepted; no rule matches"
	case 1:
		return "accepted; 1 target"
	}
	return "accepted; " + strconv.Itoa(targets) + " targets"
}

// An envelope is what is read of an event: the outbox's fields where it has them. docs/envelope.md describes them.
type envelope struct {
	Source     string
	DetailType string `json:"detail-type"`
	Detail     struct {
		AggregateType text   `json:"aggregateType"`
		AggregateID   text   `json:"aggregateId"`
		Version       number `json:"version"`
		OccurredAt    number `json:"occurredAt"` // epoch milliseconds
		CorrelationID text   `json:"correlationId"`
		CausationID   text   `json:"causationId"`
	}
}

// read returns the fields of an event that have the form of an outbox's.
func read(event json.RawMessage) envelope {
	var e envelope
	_ = json.Unmarshal(event, &e) // it was decoded before
	return e
}

func (said envelope) describe(e *Event) {
	e.Source, e.Type, e.Heartbeat = said.Source, said.DetailType, hop.IsHeartbeat(said.Source)
	d := said.Detail
	e.AggregateType, e.AggregateID, e.Version = string(d.AggregateType), string(d.AggregateID), int64(d.Version)
	e.CorrelationID, e.CausationID = string(d.CorrelationID), string(d.CausationID)
	if d.OccurredAt > 0 {
		e.OccurredAt = time.UnixMilli(int64(d.OccurredAt))
	}
}

// A text is a string, or one in DynamoDB's JSON; anything else is none.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = text(plain(raw))
	return nil
}

// A number is a whole number, as such, in a string or in DynamoDB's JSON; anything else is 0.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	value, _ := strconv.ParseInt(plain(raw), 10, 64)
	*n = number(value)
	return nil
}

// plain returns the text of a JSON string, a number, or a string or number in DynamoDB's JSON.
func plain(raw []byte) string {
	if !strings.HasPrefix(string(raw), "{") {
		var value string
		if json.Unmarshal(raw, &value) != nil {
			return string(raw)
		}
		return value
	}
	var attribute struct{ S, N string }
	_ = json.Unmarshal(raw, &attribute)
	return attribute.S + attribute.N
}

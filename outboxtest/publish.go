package outboxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local"
)

// A Publication is an event to put on a bus. With Detail it is what another service says; without, it is an outbox event in the
// envelope that a pipe makes of it, so that a test can say what has not been written, in any order.
type Publication struct {
	Bus    string // name or ARN. Default: the stack's bus, or the default bus where it has none
	Source string // required
	Type   string // detail-type; required
	Detail any    // anything that encodes to a JSON object; a json.RawMessage stays as it is

	// The fields of an outbox event.
	ID            string // default: a new UUID
	AggregateType string
	AggregateID   string
	Version       int64     // default: 1
	OccurredAt    time.Time // default: now
	CorrelationID string    // default: none
	CausationID   string    // default: none
	Data          any       // default: {}
}

// Publish puts an event on a bus and returns it once the bus has accepted it. It fails the test where a required field is
// missing, or where the bus refuses the event, for example one larger than 256 KB.
func (r *Run) Publish(t testing.TB, p Publication) *Event {
	t.Helper()
	detail, err := p.detail()
	if err != nil {
		t.Fatalf("outboxtest: publish %q: %v", p.Type, err)
	}
	id, err := r.stack.Publish(context.Background(), local.Publication{Bus: p.Bus, Source: p.Source, Type: p.Type, Detail: detail})
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	return r.Event(t, ID(id))
}

// validate returns all that is wrong with the fields that every event must have.
func (p Publication) validate() error {
	var problems []error
	for _, field := range []struct{ name, value string }{{"Source", p.Source}, {"Type", p.Type}} {
		if field.value == "" {
			problems = append(problems, fmt.Errorf("%s must not be empty", field.name))
		}
	}
	return errors.Join(problems...)
}

// detail returns the event's detail.
func (p Publication) detail() (json.RawMessage, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	if p.Detail != nil {
		detail, err := json.Marshal(p.Detail)
		if err == nil && !bytes.HasPrefix(detail, []byte("{")) {
			err = fmt.Errorf("Detail must encode to a JSON object, got %s", detail)
		}
		return detail, err
	}
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	if p.Version == 0 {
		p.Version = 1
	}
	if p.OccurredAt.IsZero() {
		p.OccurredAt = time.Now()
	}
	if p.Data == nil {
		p.Data = struct{}{}
	}
	return json.Marshal(map[string]any{ // docs/envelope.md
		"id": p.ID, "type": p.Type, "aggregateType": p.AggregateType, "aggregateId": p.AggregateID, "version": p.Version,
		"occurredAt": p.OccurredAt.UnixMilli(), "data": p.Data, "correlationId": p.CorrelationID, "causationId": p.CausationID,
	})
}

// Deliver sends an event to a consumer's queue once more, as EventBridge may do at any time, and waits until the consumer has
// made that attempt, whether it handled the event, recognized it, or failed. Before that it waits for the attempt that the consumer
// has yet to make or to end, so that the two are told apart.
func (r *Run) Deliver(t testing.TB, e *Event, consumer string) {
	t.Helper()
	c := r.consumer(t, consumer)
	before := e.attemptsEnded(t, c)
	r.deliver(t, e, consumer, 0)
	e.attempted(t, c, before)
}

// DeliverLate sends an event to a consumer's queue once more, after a delay of up to 15 minutes in whole seconds, and does not
// wait for it; [Event.Effects] and [Event.Attempts] do not either. In a run of the test's [Own], [Run.Advance] lets the delay pass.
// A FIFO queue has no delay of one message. Source: SQS API reference, SendMessage, DelaySeconds.
func (r *Run) DeliverLate(t testing.TB, e *Event, consumer string, delay time.Duration) {
	t.Helper()
	r.deliver(t, e, consumer, delay)
}

func (r *Run) deliver(t testing.TB, e *Event, consumer string, delay time.Duration) {
	t.Helper()
	r.see(e.ID)
	if err := r.stack.Deliver(context.Background(), e.ID, consumer, delay); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
}

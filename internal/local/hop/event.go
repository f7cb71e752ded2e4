package hop

import (
	"context"
	"encoding/json"
	"time"
)

// EventID returns the id by which hops name an event of EventBridge, or "" for what is none: the outbox event's, detail.id,
// which stays the same however often it is delivered, and the event's own for what other services say.
func EventID(event []byte) string {
	var e struct {
		ID         any
		DetailType any `json:"detail-type"`
		Detail     struct {
			ID any `json:"id"`
		}
	}
	if json.Unmarshal(event, &e) != nil {
		return ""
	}
	if id, ok := e.Detail.ID.(string); ok && id != "" {
		return id
	}
	id, ok := e.ID.(string)
	if _, isEvent := e.DetailType.(string); !ok || !isEvent {
		return ""
	}
	return id
}

// An Accepted is an event that a bus has accepted.
type Accepted struct {
	At      time.Time
	Bus     string          // name
	Event   json.RawMessage // as targets receive it
	Targets []string        // ARNs of the targets of all rules that match
}

// An Added is an event that a write has added to an outbox.
type Added struct {
	At time.Time // when it was committed

	ID, Source, Type           string
	AggregateType, AggregateID string
	Version                    int64
	OccurredAt                 time.Time
	CorrelationID, CausationID string

	By   string   // logical id of the function, session of another role, or empty for the developer
	With []string // names of the tables that the same write has changed, the outbox's among them
}

// A Cause is why a function is invoked: a batch of events from one queue.
type Cause struct {
	Source   string // ARN of the queue
	EventIDs []string
}

type causeKey struct{}

// WithCause returns a context for an invocation, whose hops then name its cause.
func WithCause(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, causeKey{}, c)
}

// CauseOf returns the cause of an invocation; it is empty where none is known.
func CauseOf(ctx context.Context) Cause {
	c, _ := ctx.Value(causeKey{}).(Cause)
	return c
}

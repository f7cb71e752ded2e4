package events

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A State says where an event, or its delivery to one target, is now.
type State string

// The states. That of an event is the one of its deliveries that comes first in this list.
const (
	Dropped    State = "dropped"     // it is lost there
	DeadLetter State = "dead-letter" // it waits in a dead-letter queue
	Retrying   State = "retrying"    // the last attempt failed, and another one follows
	InFlight   State = "in-flight"   // a function works on it
	Waiting    State = "waiting"     // in a queue
	Moving     State = "moving"      // on its way to the bus, or from there to a target
	Handled    State = "handled"     // a function has handled it
	Unmatched  State = "unmatched"   // no rule matches it
)

// States lists all states, in the order in which they decide about an event.
var States = []State{Dropped, DeadLetter, Retrying, InFlight, Waiting, Moving, Handled, Unmatched}

// An Event is what the run knows of one event.
type Event struct {
	ID string `json:"id"`
	// Number counts the events in the order in which the run has met them, from 1.
	Number uint64 `json:"number"`
	// Revision grows with each change of any event: it is that of the last change of this one.
	Revision uint64 `json:"revision"`

	Source        string          `json:"source,omitempty"`
	Type          string          `json:"type,omitempty"` // detail-type
	AggregateType string          `json:"aggregateType,omitempty"`
	AggregateID   string          `json:"aggregateId,omitempty"`
	Version       int64           `json:"version,omitempty"`
	OccurredAt    time.Time       `json:"occurredAt,omitzero"`
	CorrelationID string          `json:"correlationId,omitempty"`
	CausationID   string          `json:"causationId,omitempty"`
	Heartbeat     bool            `json:"heartbeat,omitempty"`
	Payload       json.RawMessage `json:"payload,omitempty"` // as targets receive it; only in [Store.Get]'s

	FirstSeen  time.Time  `json:"firstSeen"`
	State      State      `json:"state"`
	Deliveries []Delivery `json:"deliveries,omitempty"` // one for each target, in the order in which they were met
	// Steps are in the order in which they happened, and only in [Store.Get]'s. Last is the latest of them.
	Steps []Step `json:"steps,omitempty"`
	Last  Step   `json:"last"`
	// Omitted is how many steps in the middle were too many to keep.
	Omitted int `json:"omitted,omitempty"`
}

// A Delivery is an event's way to one target: a queue, or a function that is the target of a rule.
type Delivery struct {
	Target   string `json:"target"` // ARN
	State    State  `json:"state"`
	Receives int    `json:"receives,omitempty"` // messages with it that the function was invoked with
	Handled  int    `json:"handled,omitempty"`  // those that it has handled: more than one where it was delivered again
	Effects  int    `json:"effects,omitempty"`  // writes of the function that name it, once they are committed
	Function string `json:"function,omitempty"` // logical id of the function that was last invoked with it
	// At is the ARN of the dead-letter queue in which it waits.
	At string `json:"at,omitempty"`
	// Reason is the last failure.
	Reason string `json:"reason,omitempty"`

	onBus bool // the bus has not told that the target has it
}

// A Step is one thing that happened to an event: a hop of it alone, or one of [Occurred], [Commit] and [Fault].
type Step struct {
	At       time.Time     `json:"at"`
	Stage    hop.Stage     `json:"stage"`
	Resource string        `json:"resource,omitempty"` // logical id
	Source   string        `json:"source,omitempty"`   // ARN of the queue or target whose delivery it is about
	Target   string        `json:"target,omitempty"`   // logical id or ARN
	Outcome  hop.Outcome   `json:"outcome"`
	Latency  time.Duration `json:"latencyNs,omitempty"`
	Detail   string        `json:"detail,omitempty"` // an error, or a log line
}

// The stages of steps that are no hops.
const (
	Occurred hop.Stage = "occurred" // what the event says about when it happened, by its writer's clock
	Commit   hop.Stage = "commit"   // a write has added it to an outbox
	Fault    hop.Stage = "fault"    // a fault was injected; the resource is its point
)

// Delivery returns the event's delivery to a target, and whether there is one.
func (e Event) Delivery(target string) (Delivery, bool) {
	at := slices.IndexFunc(e.Deliveries, func(d Delivery) bool { return d.Target == target })
	if at < 0 {
		return Delivery{}, false
	}
	return e.Deliveries[at], true
}

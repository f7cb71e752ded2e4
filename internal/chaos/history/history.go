// Package history records one chaos run: what the clients asked for and were told, what the
// local run did, which faults fired, and, at its end, what was found in the tables and queues. It is kept
// as JSON lines, so that it can be read with any tool and judged again without running anything.
package history

import (
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Entry is one line of a history. Exactly one of the fields behind Kind is set, the one Kind names.
type Entry struct {
	N    int       `json:"n"` // 1, 2, 3 …: the line's number
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`

	Call       *Call       `json:"call,omitempty"`
	Hop        *hop.Hop    `json:"hop,omitempty"`
	Fault      *Fault      `json:"fault,omitempty"`
	Phase      *Phase      `json:"phase,omitempty"`
	Event      *Event      `json:"event,omitempty"`
	Object     *Object     `json:"object,omitempty"`
	Effect     *Effect     `json:"effect,omitempty"`
	DeadLetter *DeadLetter `json:"deadLetter,omitempty"`

	Mistake *Mistake `json:"mistake,omitempty"`
	Audit   *Audit   `json:"audit,omitempty"`
	Denial  *Denial  `json:"denial,omitempty"`
}

// Kind is what a line is about.
type Kind string

// The kinds. Events, objects, effects and dead letters are a state: they follow a Phase that has one, and what stands
// before an earlier one of these is not part of it.
const (
	KindCall       Kind = "call"
	KindHop        Kind = "hop"
	KindFault      Kind = "fault"
	KindPhase      Kind = "phase"
	KindEvent      Kind = "event"
	KindObject     Kind = "object"
	KindEffect     Kind = "effect"
	KindDeadLetter Kind = "deadLetter"
	KindMistake    Kind = "mistake"
	KindAudit      Kind = "audit"
	KindDenial     Kind = "denial"
)

// Call is a step of one request of a client: that it was sent, or how it ended.
type Call struct {
	// Operation names what the client wants to happen once. All tries of it, under one idempotency key,
	// share the name.
	Operation string `json:"operation"`
	Step      Step   `json:"step"`
	// Write is what the operation writes when it succeeds.
	Write Write `json:"write"`
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int `json:"status,omitempty"`
	// Detail is why there was no answer, or what was special about the request.
	Detail string `json:"detail,omitempty"`
}

// Step is how far a request is.
type Step string

// The steps. A request that is not answered, or answered with an error that leaves open what was
// committed, ends Unknown.
const (
	Invoke  Step = "invoke"
	OK      Step = "ok"
	Fail    Step = "fail"
	Unknown Step = "unknown"
)

// Write is one write through the outbox: it gives an aggregate its next version, and makes one event.
type Write struct {
	Aggregate string `json:"aggregate"` // the aggregate's id
	Version   int64  `json:"version"`
	Type      string `json:"type"` // of the event
	// Value is what the write makes of the aggregate, for example its status: it distinguishes two writers of one
	// version apart. Empty: any.
	Value string `json:"value,omitempty"`
}

// Fault is a fault that fired.
type Fault struct {
	Point  string   `json:"point"`            // for example "bus.partial"
	Key    string   `json:"key,omitempty"`    // what it hit, by the same name in every run; empty: everything
	N      int      `json:"n,omitempty"`      // the point was asked for the key for the nth time
	Events []string `json:"events,omitempty"` // ids of the events that it hit, where they are known
}

// Mistake is something that an operator did to the running stack, or put right again.
type Mistake struct {
	Kind     string `json:"kind"`               // for example "operator.rule-disabled"
	Consumer string `json:"consumer,omitempty"` // whom it concerns; empty: all
	// Over reports that it was put right here.
	Over bool `json:"over,omitempty"`
	// Began is when the requests for it began. The entry's own time is when they had ended.
	Began time.Time `json:"began,omitzero"`
	// Events are the ids of the events that it hit, where they are known.
	Events []string `json:"events,omitempty"`
}

// Audit is what an audit reported.
type Audit struct {
	By    string  `json:"by"`    // which audit it was
	Named []Named `json:"named"` // what it said has no effect
}

// Denial is something that the template's policies do not allow and that was asked for.
type Denial struct {
	Text string `json:"text"` // who asked for what, and the statement that is missing
}

// Named is an event and a consumer that misses it.
type Named struct {
	Consumer string `json:"consumer"`
	Event    string `json:"event"` // its id
}

// Phase reports that the run went into another phase.
type Phase struct {
	Name   PhaseName `json:"name"`
	Detail string    `json:"detail,omitempty"`
}

// PhaseName names a phase.
type PhaseName string

// The phases of a run, in their order.
const (
	Started  PhaseName = "started"  // detail: the command that replays the run
	Joined   PhaseName = "joined"   // a consumer was added; detail: which
	Healed   PhaseName = "healed"   // no fault fires from here on
	Drained  PhaseName = "drained"  // nothing moves any more; the state follows
	Audited  PhaseName = "audited"  // the audits before have ended; the state follows again
	Redriven PhaseName = "redriven" // the dead-letter queues were redriven; the state follows again
	Repaired PhaseName = "repaired" // what the audit named was sent again; the state follows again
)

// HasState reports whether a state follows the phase.
func (p PhaseName) HasState() bool {
	return p == Drained || p == Audited || p == Redriven || p == Repaired
}

// Event is an event as it stands in the outbox table.
type Event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Aggregate string    `json:"aggregate"`
	Version   int64     `json:"version"`
	Value     string    `json:"value,omitempty"` // what the event says about the aggregate, as Write.Value
	Cause     string    `json:"cause,omitempty"` // the id of the event whose handling led to this one
	Written   time.Time `json:"written,omitzero"`
}

// Object is an aggregate as it stands in the business table.
type Object struct {
	Aggregate string `json:"aggregate"`
	Version   int64  `json:"version"`
}

// Effect is one thing that a consumer did because of an event, as it stands in a table. The same effect
// done twice is two of them.
type Effect struct {
	Consumer string `json:"consumer"`
	Kind     string `json:"kind"`  // what was done, for example "shipment"
	Event    string `json:"event"` // the event's id
	// Aggregate and Position say, for the effects of an ordered consumer, in which order they took place.
	Aggregate string `json:"aggregate,omitempty"`
	Position  int64  `json:"position,omitempty"` // 1, 2, 3 … for each aggregate
	Version   int64  `json:"version,omitempty"`
}

// DeadLetter is a message in a dead-letter queue.
type DeadLetter struct {
	Queue QueueKind `json:"queue"`
	Name  string    `json:"name"` // of the queue
	// Consumer is who misses the events; empty: every consumer does.
	Consumer string   `json:"consumer,omitempty"`
	Events   []string `json:"events"` // their ids
	Reason   string   `json:"reason,omitempty"`
}

// QueueKind is which part of the flow a dead-letter queue belongs to.
type QueueKind string

// The kinds of dead-letter queues.
const (
	PipeQueue     QueueKind = "pipe"
	RuleQueue     QueueKind = "rule"
	ConsumerQueue QueueKind = "consumer"
)

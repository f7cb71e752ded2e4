package page

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/flow"
)

// A Backend is the stack that a page shows. Its methods may be called from many goroutines. A method whose ctx is done
// returns soon.
type Backend interface {
	// About returns what the stack is. It changes only when a [Change] says so.
	About() About
	// Flow returns how events move through the stack. It changes only when a [Change] says so.
	Flow(ctx context.Context) (*flow.Graph, error)
	// State returns how the stack stands now.
	State(ctx context.Context) (*State, error)
	// Events returns the events that a query selects, the newest first.
	Events(ctx context.Context, q EventQuery) (*EventList, error)
	// Event returns what became of an event, or an error that is [ErrNotFound].
	Event(ctx context.Context, id string) (*Timeline, error)
	// DeadLetters returns the dead-letter messages, the oldest first. To see one is to receive it for a moment.
	DeadLetters(ctx context.Context) (*DeadLetterList, error)
	// Redrive sends the dead-letter messages with the ids back to where they were not delivered.
	Redrive(ctx context.Context, ids []string) (*Result, error)
	// Discard deletes the dead-letter messages with the ids for good.
	Discard(ctx context.Context, ids []string) (*Result, error)
	// Follow calls change with what happens until ctx is done. A backend that only can be asked returns at once.
	Follow(ctx context.Context, change func(Change))
}

// About says what a page shows.
type About struct {
	Stack string `json:"stack"`
	Where string `json:"where"` // "on this machine", "region eu-central-1"
	// Live reports that the page is told of each step of an event as it happens.
	Live bool `json:"live"`
	// ReadOnly reports that the page changes nothing.
	ReadOnly bool `json:"readOnly"`
	// EventsBySearch reports that events are found by an id only, and not listed.
	EventsBySearch bool `json:"eventsBySearch"`
	// Facts are lines about the stack: its endpoints and resources.
	Facts []FactGroup `json:"facts,omitempty"`
}

// A FactGroup is a table of facts under a heading.
type FactGroup struct {
	Title string     `json:"title"`
	Rows  [][]string `json:"rows"`
}

// A State is how a stack stands.
type State struct {
	At    time.Time            `json:"at"`
	Nodes map[string]NodeState `json:"nodes"` // by the id of the node in the flow
	Needs []Need               `json:"needs"` // what needs a person
	// Problems are what could not be read, and why.
	Problems []string `json:"problems,omitempty"`
}

// A NodeState is how a node of the flow stands. What is not known is nil or zero.
type NodeState struct {
	Status   string `json:"status,omitempty"` // AWS's own word where it is not the usual one: STOPPED, DISABLED, MISSING
	Waiting  *int64 `json:"waiting,omitempty"`
	InFlight *int64 `json:"inFlight,omitempty"`
	// Passed is how many events, requests or messages it has handed on since the run started, Failed how often it could not.
	Passed *int64 `json:"passed,omitempty"`
	Failed *int64 `json:"failed,omitempty"`
	// OldestSeconds is the age of the oldest message.
	OldestSeconds *int64 `json:"oldestSeconds,omitempty"`
}

// A Need is what needs a person, and what that person can do.
type Need struct {
	What string `json:"what"`
	Do   string `json:"do,omitempty"`
}

// An EventState is how an event stands, the worst of its consumers.
type EventState string

// The states of an event.
const (
	Handled      EventState = "handled"     // each consumer has handled it
	Unmatched    EventState = "unmatched"   // no rule matches it
	Moving       EventState = "moving"      // it is on its way
	Waiting      EventState = "waiting"     // it is in a consumer's queue
	InFlight     EventState = "in-flight"   // a function works on it
	Retrying     EventState = "retrying"    // an attempt failed, and there will be another
	DeadLettered EventState = "dead-letter" // it waits in a dead-letter queue
	Dropped      EventState = "dropped"     // nobody has it any more
	Missing      EventState = "missing"     // it is not known to wait anywhere, and its effect is due
	Unknown      EventState = "unknown"     // it cannot be told
)

// EventStates lists the states from the best to the worst.
var EventStates = []EventState{Handled, Unmatched, Unknown, Moving, Waiting, InFlight, Retrying, DeadLettered, Missing, Dropped}

// An EventQuery selects events: those for which everything that is given holds.
type EventQuery struct {
	Text   string // a part of the id, the type, the aggregate or the payload, in any case
	Type   string
	State  EventState
	Offset int // how many of the newest to skip
	Limit  int // how many to return at most
}

// An EventList is a part of the events that a query selects.
type EventList struct {
	Events []Event  `json:"events"`
	Total  int      `json:"total"` // how many the query selects
	Types  []string `json:"types"` // of all events, for a filter
}

// An Event is one line of a list.
type Event struct {
	ID            string     `json:"id"`
	Type          string     `json:"type"`
	Source        string     `json:"source,omitempty"`
	AggregateType string     `json:"aggregateType"`
	AggregateID   string     `json:"aggregateId"`
	Version       int64      `json:"version"`
	At            time.Time  `json:"at"` // when it was committed, or first seen
	State         EventState `json:"state"`
}

// A Timeline is what became of an event.
type Timeline struct {
	Event
	CorrelationID string          `json:"correlationId,omitempty"`
	CausedBy      string          `json:"causedBy,omitempty"` // the id of the event that led to it
	Caused        []Caused        `json:"caused"`             // what it led to
	Consumers     []Consumer      `json:"consumers"`
	Steps         []Step          `json:"steps"` // in the order of time
	Payload       json.RawMessage `json:"payload,omitempty"`
}

// Caused is an event to which another led.
type Caused struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// A Consumer is how an event stands at one consumer.
type Consumer struct {
	Name     string     `json:"name"`
	State    EventState `json:"state"`
	At       time.Time  `json:"at,omitzero"`
	Receives int        `json:"receives,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}

// A StepKind is what a step of a timeline is.
type StepKind string

// The kinds of steps.
const (
	Occurred  StepKind = "occurred"  // as the event says itself
	Committed StepKind = "committed" // to the outbox table
	Wrote     StepKind = "wrote"     // by a function, to tables
	Moved     StepKind = "moved"     // from one node to the next
	Received  StepKind = "received"  // by a function
	Logged    StepKind = "log"       // a line of a function's log
	Effect    StepKind = "effect"    // a consumer has handled it
	Faulted   StepKind = "fault"     // a fault was injected
)

// A Step is one line of a timeline.
type Step struct {
	At      time.Time `json:"at"`
	Kind    StepKind  `json:"kind"`
	Where   string    `json:"where"`        // the name of the node
	To      string    `json:"to,omitempty"` // the name of the next
	Outcome string    `json:"outcome,omitempty"`
	// LatencyMS is how long the step took, in milliseconds; 0 where it takes no time.
	LatencyMS float64 `json:"latencyMs,omitempty"`
	Detail    string  `json:"detail,omitempty"`
}

// A DeadLetterList is what waits in the dead-letter queues.
type DeadLetterList struct {
	Messages []DeadLetter `json:"messages"`
	// Total is about how many there are; more than there are messages where not all could be looked at.
	Total int `json:"total"`
}

// A DeadLetter is a dead-letter message.
type DeadLetter struct {
	ID       string          `json:"id"`
	Queue    string          `json:"queue"`
	Kind     string          `json:"kind"` // consumer, rule, pipe or auditor
	Consumer string          `json:"consumer,omitempty"`
	EventID  string          `json:"eventId,omitempty"`
	Type     string          `json:"type,omitempty"`
	About    string          `json:"about,omitempty"` // the aggregate
	SentAt   time.Time       `json:"sentAt"`
	Reason   string          `json:"reason"`
	Body     json.RawMessage `json:"body"`
}

// A Result is what became of dead-letter messages.
type Result struct {
	Done int      `json:"done"`
	Kept []string `json:"kept,omitempty"` // which stay, and why
	// Note says what else there is to know: where copies are.
	Note string `json:"note,omitempty"`
}

// A Change is what happened in a stack.
type Change struct {
	Moves []Move
	// Events reports that the list of events has changed.
	Events bool
	// Flow reports that other templates run: About and Flow return something else.
	Flow bool
}

// A Move is that events went from one node to the next.
type Move struct {
	From    string `json:"from"`
	To      string `json:"to"`
	Count   int    `json:"count"`
	Outcome string `json:"outcome"` // ok, failed, retry, dead-letter or dropped
}

// Worst returns the state that needs a person most.
func Worst(states []EventState) EventState {
	return slices.MaxFunc(states, func(a, b EventState) int {
		return cmp.Compare(slices.Index(EventStates, a), slices.Index(EventStates, b))
	})
}

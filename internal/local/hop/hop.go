// Package hop defines what the local run reports while it works: one [Hop] for each step that an event takes.
// Every local service sends its hops to a [Sink]; the console prints them, and tests read them as JSON.
package hop

import (
	"strings"
	"time"
)

// A Stage is the place in the flow at which a hop happened.
type Stage string

// The stages, in the order in which an order's event meets them.
const (
	API      Stage = "api"      // a request that the REST API or the URL of a function answered
	Pipe     Stage = "pipe"     // a batch of stream records that a pipe handed to its target
	Bus      Stage = "bus"      // an event that a rule's target accepted
	Queue    Stage = "queue"    // a batch that an event source mapping handed to a function
	Stream   Stage = "stream"   // a batch of stream records that an event source mapping handed to a function
	Schedule Stage = "schedule" // an event that a schedule's target accepted
	Async    Stage = "async"    // an invocation for which its caller did not wait
	Effect   Stage = "effect"   // a write of a function that names events, once it is committed
	Function Stage = "function" // a line that a function wrote to its log
	Platform Stage = "platform" // a line that Lambda adds to a function's log: START, END and REPORT
)

// An Outcome is how a hop ended.
type Outcome string

// The outcomes.
const (
	OK         Outcome = "ok"          // the next stage has it
	Failed     Outcome = "failed"      // a caller of the API got an error
	Retry      Outcome = "retry"       // the attempt failed and will be repeated
	DeadLetter Outcome = "dead-letter" // it now waits in a dead-letter queue
	Dropped    Outcome = "dropped"     // it is lost: no dead-letter queue accepted it
)

// A Hop is one step of one or several events.
type Hop struct {
	At       time.Time     `json:"at"` // when the hop ended
	Stage    Stage         `json:"stage"`
	Resource string        `json:"resource"`         // logical id of the resource that made the hop
	Source   string        `json:"source,omitempty"` // ARN of the queue or target whose delivery it is about, where that is neither Resource nor Target
	Target   string        `json:"target,omitempty"` // logical id or ARN of the resource it went to
	Outcome  Outcome       `json:"outcome"`
	Latency  time.Duration `json:"latencyNs"`          // how long this hop took
	Count    int           `json:"count,omitempty"`    // records, events or messages in it
	EventIDs []string      `json:"eventIds,omitempty"` // ids of the events in it, where they are known (see EventID)
	// FailedIDs are those of EventIDs that a function did not handle, where the others were handled.
	FailedIDs []string `json:"failedIds,omitempty"`
	Detail    string   `json:"detail,omitempty"` // for the reader: a status, an error or a log line
	// Heartbeat reports that every event in it is one by which a stack finds out whether events arrive.
	Heartbeat bool `json:"heartbeat,omitempty"`
}

// IsHeartbeat reports whether events of a source are heartbeats: the end of its name says so.
func IsHeartbeat(source string) bool { return strings.HasSuffix(source, ".heartbeat") }

// A Sink receives hops. It is called from many goroutines and must not block for long.
type Sink func(Hop)

package operate

import "time"

// A Status is how a stack stands, in the order in which an event meets its parts.
type Status struct {
	Stack    string         `json:"stack"`
	Where    string         `json:"where"` // "region eu-central-1", or "the local run on port 4510"
	At       time.Time      `json:"at"`
	Outboxes []OutboxStatus `json:"outboxes"`
	// Imported are the consumers of outboxes that the stack imports.
	Imported []ConsumerStatus `json:"imported,omitempty"`
	Alarms   Reading[[]Alarm] `json:"alarms"` // those that are on
	// Needs are what needs a person, and what that person can do.
	Needs []Need `json:"needs"`
}

// A Reading is a value, or why it could not be read.
type Reading[T any] struct {
	Value T      `json:"value"`
	Error string `json:"error,omitempty"`
}

// known reports whether the value was read.
func (r Reading[T]) known() bool { return r.Error == "" }

// An OutboxStatus is how an outbox stands.
type OutboxStatus struct {
	Path      string           `json:"path"`
	Pipe      Reading[Part]    `json:"pipe"`
	Heartbeat *HeartbeatStatus `json:"heartbeat"` // null without Monitor
	Audit     *AuditStatus     `json:"audit"`     // null without Audit

	PipeDeadLetters Reading[int64] `json:"pipeDeadLetters"`
	RuleDeadLetters Reading[int64] `json:"ruleDeadLetters"`

	Consumers []ConsumerStatus `json:"consumers"`
}

// A Part is a pipe, a rule or an event source mapping.
type Part struct {
	// State is AWS's own word, or Missing.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Missing is the state of a part that somebody has deleted.
const Missing = "MISSING"

// A HeartbeatStatus is how an outbox's heartbeat stands.
type HeartbeatStatus struct {
	MaximumLagSeconds int64         `json:"maximumLagSeconds"`
	Last              Reading[Beat] `json:"last"`
	// Schedule runs the function, and Rule brings what it has written to its queue. Null where the outbox was deployed before
	// its description named them.
	Schedule *Reading[Part] `json:"schedule"`
	Rule     *Reading[Part] `json:"rule"`
}

// A Beat is the last minute in which heartbeats arrived.
type Beat struct {
	// Arrived is the zero time where none has arrived in the hours that are looked at.
	Arrived time.Time `json:"arrived,omitzero"`
	LagMS   int64     `json:"lagMs"` // the longest of that minute
}

// An AuditStatus is how the auditor of an outbox stands.
type AuditStatus struct {
	ConfirmWithinSeconds int64          `json:"confirmWithinSeconds"`
	AlarmAfterSeconds    int64          `json:"alarmAfterSeconds"`
	RepairPerMinute      string         `json:"repairPerMinute,omitempty"` // "" when it repairs nothing
	DeadLetters          Reading[int64] `json:"deadLetters"`
	Schedule             *Reading[Part] `json:"schedule"` // null as that of a heartbeat
}

// A ConsumerStatus is how a consumer stands. What its description does not name is null.
type ConsumerStatus struct {
	Consumer    string                `json:"consumer"` // the id of its construct
	Name        string                `json:"name,omitempty"`
	Mapping     *Reading[Part]        `json:"mapping"`
	Rule        *Reading[Part]        `json:"rule"`
	Queue       *Reading[Depth]       `json:"queue"`
	OldestAge   *Reading[Age]         `json:"oldest"`      // of a message in the queue
	Unconfirmed *Reading[Unconfirmed] `json:"unconfirmed"` // null without an audit or an inbox
	DeadLetters *Reading[int64]       `json:"deadLetters"`
	// RuleDeadLetters are those of an imported outbox's rule, whose queue is the consumer's own.
	RuleDeadLetters *Reading[int64] `json:"ruleDeadLetters,omitempty"`

	of *Consumer
}

// A Depth is how many messages a queue has. The numbers are SQS's approximate ones.
type Depth struct {
	Waiting  int64 `json:"waiting"` // those that are delayed included
	InFlight int64 `json:"inFlight"`

	arn string
}

// An Age is how old something is, as far as CloudWatch knows.
type Age struct {
	Known   bool  `json:"known"` // false where CloudWatch has no figure, as for a queue that is idle
	Seconds int64 `json:"seconds"`
}

// Unconfirmed are events whose effect the auditor has not found.
type Unconfirmed struct {
	Count int64 `json:"count"`
	More  bool  `json:"more,omitempty"` // there are more than Count
	// Oldest is when the oldest of them was written, the zero time where there is none.
	Oldest time.Time `json:"oldest,omitzero"`
}

// An Alarm is a CloudWatch alarm that is on.
type Alarm struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Since       time.Time `json:"since,omitzero"`
}

// A Need is what needs a person.
type Need struct {
	What string `json:"what"`
	Do   string `json:"do,omitempty"` // a command line, or a sentence
}

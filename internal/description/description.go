// Package description holds what an outbox's construct leaves in the account for those who watch over it: the auditor and
// the command. They need no knowledge of the template, and find each part by its real name.
//
// The construct writes one SSM parameter for the outbox and one for each consumer. CloudFormation fills in the real names
// when it deploys, so the parameters are found, as any resource, by the stack's name:
//
//	/outboxkit/<stack>/<path of the outbox below the stack, with dots>/outbox
//	/outboxkit/<stack>/<path of the outbox below the stack, with dots>/consumer/<id of the consumer>
//
// All numbers are texts, because at synth some are not known yet.
package description

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Prefix is what the names of all parameters begin with.
const Prefix = "/outboxkit/"

// An Outbox describes an outbox of this stack. A consumer of an imported outbox stands without one.
type Outbox struct {
	Version string `json:"version"` // of the layout: "1"
	Path    string `json:"path"`    // "<stack>/<path below the stack>"
	Source  string `json:"source"`

	Table                 string `json:"table"` // name
	EventRetentionSeconds string `json:"eventRetentionSeconds"`
	Bus                   string `json:"bus"`               // name
	Archive               string `json:"archive,omitempty"` // ARN

	Pipe                    string `json:"pipe"` // name
	MaximumRecordAgeSeconds string `json:"maximumRecordAgeSeconds"`
	PipeDeadLetterQueue     string `json:"pipeDeadLetterQueue"` // URL
	RuleDeadLetterQueue     string `json:"ruleDeadLetterQueue"` // URL

	Heartbeat *Heartbeat `json:"heartbeat,omitempty"`
	Audit     *Audit     `json:"audit,omitempty"`
}

// A Heartbeat describes the function that writes an event a minute and receives it at the other end.
type Heartbeat struct {
	Function          string `json:"function"` // name
	Source            string `json:"source"`
	Queue             string `json:"queue"` // URL
	MaximumLagSeconds string `json:"maximumLagSeconds"`
	// Schedule and Rule are names, and missing where an earlier version has described the outbox.
	Schedule string `json:"schedule,omitempty"` // of the rule that runs the function, on the default bus
	Rule     string `json:"rule,omitempty"`     // of the rule that brings the heartbeats to the queue, on the outbox's bus
}

// An Audit describes the function that looks for the effect of each event.
type Audit struct {
	Function             string `json:"function"`        // name
	Table                string `json:"table"`           // name, of what is not confirmed
	Pending              string `json:"pending"`         // URL of the queue in which events wait until they are looked at
	DeadLetterQueue      string `json:"deadLetterQueue"` // URL
	ConfirmWithinSeconds string `json:"confirmWithinSeconds"`
	AlarmAfterSeconds    string `json:"alarmAfterSeconds"`
	RepairPerMinute      string `json:"repairPerMinute,omitempty"` // most events sent again to one consumer; none: the auditor repairs nothing
	Schedule             string `json:"schedule,omitempty"`        // name of the rule that runs the function; missing as those of a heartbeat
}

// A Consumer describes a consumer. Of one that another app has deployed and the audit was told of, only Name, Inbox,
// Ordered, InboxTable, Pattern, and as far as they were told the queues, are known.
type Consumer struct {
	Version string `json:"version"`        // of the layout: "1"
	ID      string `json:"id"`             // of the construct
	Name    string `json:"name,omitempty"` // by which the inbox knows it; none without an inbox

	Inbox         string `json:"inbox"` // TABLE or NONE
	Ordered       bool   `json:"ordered,omitempty"`
	InboxTable    string `json:"inboxTable,omitempty"`    // name
	MemorySeconds string `json:"memorySeconds,omitempty"` // how long the inbox remembers an event; none: for good

	Pattern json.RawMessage `json:"pattern"` // of the rule
	Bus     string          `json:"bus,omitempty"`
	Rule    string          `json:"rule,omitempty"` // name
	// RuleActiveAfterSeconds is how long after its queue was created everything that its rule matches is in it. The
	// construct leaves it out, for the five minutes that the audit allows; the local run's rules are active at once.
	RuleActiveAfterSeconds string `json:"ruleActiveAfterSeconds,omitempty"`

	Queue           string `json:"queue,omitempty"`           // URL
	DeadLetterQueue string `json:"deadLetterQueue,omitempty"` // URL
	MaxReceiveCount string `json:"maxReceiveCount,omitempty"`
	// RuleDeadLetterQueue is the URL of the queue for what the rule could not deliver.
	RuleDeadLetterQueue string `json:"ruleDeadLetterQueue,omitempty"`

	Function string `json:"function,omitempty"` // name or ARN
	Mapping  string `json:"mapping,omitempty"`  // UUID of the event source mapping
}

// StreamWindow returns how long the auditor's batches of the stream wait at most to become full: each that ends with its window
// costs an invocation and a message. The first of its events is looked at as much later, so it is a third of ConfirmWithin at
// most, in whole seconds.
func StreamWindow(confirmWithin time.Duration) time.Duration {
	return min(longestWindow, (confirmWithin / 3).Truncate(time.Second))
}

// longestWindow is the longest that Lambda waits. Source: Lambda API reference, CreateEventSourceMapping.
const longestWindow = 5 * time.Minute

// The layout that this package reads.
const layout = "1"

// Decode reads the value of a parameter into an *Outbox or a *Consumer.
func Decode(value string, into any) error {
	dec := json.NewDecoder(bytes.NewReader([]byte(value)))
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("description: %w", err)
	}
	var version string
	switch d := into.(type) {
	case *Outbox:
		version = d.Version
	case *Consumer:
		version = d.Version
	default:
		return fmt.Errorf("description: it can be read into an *Outbox or a *Consumer, got %T", into)
	}
	if version != layout {
		return fmt.Errorf("description: its version must be %q, got %q: use the command of the construct's own version", layout, version)
	}
	return nil
}

// Seconds returns the duration that a text of whole seconds stands for, 0 for none.
func Seconds(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("description: it must be a whole number of seconds, got %q", text)
	}
	return time.Duration(n) * time.Second, nil
}

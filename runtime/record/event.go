package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxDetailType is the longest detail-type, in characters, that the pipe can set from an item.
// Source: the DetailType parameter of PipeTargetEventBridgeEventBusParameters, EventBridge Pipes API reference.
const MaxDetailType = 128

// MaxSource is the longest source, in characters, that the pipe can set from an item.
// Source: the Source parameter of PipeTargetEventBridgeEventBusParameters, EventBridge Pipes API reference.
const MaxSource = 256

// Event is one thing that happened to one aggregate.
type Event struct {
	// ID identifies the event everywhere: it is the consumer's idempotency key. Required.
	ID string
	// Type says what happened, for example "OrderCreated". At most MaxDetailType characters. Required.
	Type string
	// Source says which service tells it, for example "orders". At most MaxSource characters, and not
	// beginning with "aws.", which EventBridge keeps for itself. Required.
	Source string
	// AggregateType and AggregateID say what it happened to. Required.
	AggregateType string
	AggregateID   string
	// Version numbers the events of one aggregate: 1, 2, 3 …
	Version int64
	// OccurredAt has millisecond precision on the wire.
	OccurredAt time.Time
	// Data is the event's own JSON. Required; `null` is a value.
	Data json.RawMessage
	// Traceparent is the W3C trace context of the write, or empty.
	Traceparent string
	// CorrelationID is shared by all events of one chain: the id of the event that began it.
	// Default: the event's own ID.
	CorrelationID string
	// CausationID is the ID of the event whose handling led to this one, or empty.
	CausationID string
}

// Validate reports everything that would keep the event from being delivered, joined into one error.
func (e Event) Validate() error { return e.validate(json.Valid(e.Data)) }

// validate is Validate where it is known whether the data are JSON, which takes long to find out.
func (e Event) validate(isJSON bool) error {
	var problems []error
	need := func(name, value string, limit int) {
		switch n := utf8.RuneCountInString(value); {
		case value == "":
			problems = append(problems, fmt.Errorf("%s is empty", name))
		case limit > 0 && n > limit:
			problems = append(problems, fmt.Errorf("%s has %d characters, at most %d are allowed", name, n, limit))
		}
	}
	need("id", e.ID, 0)
	need("type", e.Type, MaxDetailType)
	need("source", e.Source, MaxSource)
	need("aggregateType", e.AggregateType, 0)
	need("aggregateId", e.AggregateID, 0)
	if strings.HasPrefix(e.Source, "aws.") {
		problems = append(problems, fmt.Errorf("source %q begins with \"aws.\", which is reserved for AWS services", e.Source))
	}
	if strings.Contains(e.AggregateType, "#") {
		problems = append(problems, fmt.Errorf("aggregateType %q contains '#', which separates type and id in the key", e.AggregateType))
	}
	if e.Version < 1 {
		problems = append(problems, fmt.Errorf("version is %d, the first version is 1", e.Version))
	}
	if !isJSON {
		problems = append(problems, errors.New("data is not valid JSON"))
	}
	return errors.Join(problems...)
}

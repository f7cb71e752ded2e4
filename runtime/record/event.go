package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxDetailType is the longest Event.Type, in characters: the pipe sets the detail-type from it.
// Source: the DetailType parameter of PipeTargetEventBridgeEventBusParameters, EventBridge Pipes API reference.
const MaxDetailType = 128

// The longest parts of a key, in bytes. With them every key of the outbox and of the inbox, whose consumer's
// name has at most 128 bytes, fits DynamoDB's 2048 bytes for a partition key and 1024 for a sort key. The
// pipe takes a source of 256 characters.
// Source: DynamoDB developer guide, "Constraints in Amazon DynamoDB"; the Source parameter of
// PipeTargetEventBridgeEventBusParameters, EventBridge Pipes API reference.
const (
	MaxID            = 512
	MaxSource        = 256
	MaxAggregateType = 128
	MaxAggregateID   = 1024
)

// An Event is one thing that happened to one aggregate. Its strings are valid UTF-8 without the replacement
// character U+FFFD, which stands where text was damaged on its way: two damaged ids could be one.
type Event struct {
	// ID identifies the event everywhere: it is the consumer's idempotency key. At most MaxID bytes. Required.
	ID string
	// Type is what happened, for example "OrderCreated". At most MaxDetailType characters. Required.
	Type string
	// Source is the service that it comes from, for example "orders". At most MaxSource bytes, without '#', and
	// not beginning with "aws.", which EventBridge keeps for itself. Required.
	Source string
	// AggregateType is the kind of thing that it happened to, for example "Order". At most MaxAggregateType
	// bytes, without '#'. Required.
	AggregateType string
	// AggregateID is the thing of that kind that it happened to. At most MaxAggregateID bytes. Required.
	AggregateID string
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
func (e Event) Validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	text := func(name, value string) {
		if !utf8.ValidString(value) || strings.ContainsRune(value, utf8.RuneError) {
			refuse("%s must be valid UTF-8 without U+FFFD, got %q", name, value)
		}
	}
	need := func(name, value string, length, limit int, unit string) {
		text(name, value)
		if value == "" {
			refuse("%s must not be empty", name)
		}
		if length > limit {
			refuse("%s must have at most %d %s, got %d", name, limit, unit, length)
		}
	}
	keyPart := func(name, value string, limit int) { need(name, value, len(value), limit, "bytes") }
	beforeHash := func(name, value string) {
		if strings.Contains(value, "#") {
			refuse("%s must not contain '#', which ends it in a key, got %q", name, value)
		}
	}

	keyPart("id", e.ID, MaxID)
	need("type", e.Type, utf8.RuneCountInString(e.Type), MaxDetailType, "characters")
	keyPart("source", e.Source, MaxSource)
	keyPart("aggregateType", e.AggregateType, MaxAggregateType)
	keyPart("aggregateId", e.AggregateID, MaxAggregateID)
	beforeHash("source", e.Source)
	beforeHash("aggregateType", e.AggregateType)
	text("traceparent", e.Traceparent)
	text("correlationId", e.CorrelationID)
	text("causationId", e.CausationID)
	if strings.HasPrefix(e.Source, "aws.") {
		refuse("source must not begin with \"aws.\", which is reserved for AWS services, got %q", e.Source)
	}
	if e.Version < 1 {
		refuse("version must be at least 1, got %d", e.Version)
	}
	if !json.Valid(e.Data) || !utf8.Valid(e.Data) {
		refuse("data must be valid JSON in UTF-8, got %s", brief(e.Data))
	}
	return errors.Join(problems...)
}

package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNotAnEnvelope is wrapped by every error of Decode: the body will not decode however often it is
// delivered again.
var ErrNotAnEnvelope = errors.New("not an outbox envelope")

// DetailFields are the fields of an envelope's detail, in the order the pipe writes them. Each is the
// item's attribute of the same name.
var DetailFields = []string{
	AttrID, AttrType, AttrAggregateType, AttrAggregateID,
	AttrVersion, AttrOccurredAt, AttrData, AttrTraceparent,
	AttrCorrelationID, AttrCausationID,
}

// envelope is an EventBridge event as a rule delivers it to a queue, reduced to what an Event needs.
type envelope struct {
	DetailType *string `json:"detail-type"`
	Source     *string `json:"source"`
	Detail     *detail `json:"detail"`
}

type detail struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	AggregateType string          `json:"aggregateType"`
	AggregateID   string          `json:"aggregateId"`
	Version       json.RawMessage `json:"version"`
	OccurredAt    json.RawMessage `json:"occurredAt"`
	Data          json.RawMessage `json:"data"`
	Traceparent   string          `json:"traceparent"`
	CorrelationID string          `json:"correlationId"`
	CausationID   string          `json:"causationId"`
}

// Decode turns the body of a consumer's queue message, an EventBridge event, into the Event it carries.
//
// version and occurredAt may be JSON numbers or strings holding one, data may be native JSON or a
// string holding JSON text: a pipe passes DynamoDB's numbers and the stored JSON on as strings, other
// producers on the bus may not. A string in data that does not itself hold JSON stays a JSON string.
//
// An envelope without a correlationId begins its own chain: the event's id takes its place.
//
// Every error wraps ErrNotAnEnvelope and names the field that is missing or wrong.
func Decode(body []byte) (Event, error) {
	var env envelope
	if err := json.Unmarshal(body, &env); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	if env.Detail == nil || env.DetailType == nil || env.Source == nil {
		return Event{}, fmt.Errorf("%w: it needs detail, detail-type and source", ErrNotAnEnvelope)
	}
	d := env.Detail
	if d.Type != *env.DetailType {
		return Event{}, fmt.Errorf("%w: detail.type %q differs from detail-type %q", ErrNotAnEnvelope, d.Type, *env.DetailType)
	}
	version, err := integer("version", d.Version)
	if err != nil {
		return Event{}, err
	}
	occurredAt, err := integer("occurredAt", d.OccurredAt)
	if err != nil {
		return Event{}, err
	}
	event := Event{
		ID:            d.ID,
		Type:          d.Type,
		Source:        *env.Source,
		AggregateType: d.AggregateType,
		AggregateID:   d.AggregateID,
		Version:       version,
		OccurredAt:    time.UnixMilli(occurredAt).UTC(),
		Data:          document(d.Data),
		Traceparent:   d.Traceparent,
		CorrelationID: cmp.Or(d.CorrelationID, d.ID),
		CausationID:   d.CausationID,
	}
	if err := event.Validate(); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	return event, nil
}

// integer reads a JSON number, or a JSON string that holds one.
func integer(field string, raw json.RawMessage) (int64, error) {
	digits := string(raw)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		digits = s
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is %s, a whole number is needed", ErrNotAnEnvelope, field, orMissing(raw))
	}
	return n, nil
}

func orMissing(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "missing"
	}
	return string(raw)
}

// document unwraps a JSON string that holds JSON text, and leaves everything else as it is.
func document(raw json.RawMessage) json.RawMessage {
	var s string
	if json.Unmarshal(raw, &s) == nil && json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	return raw
}

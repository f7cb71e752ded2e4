package record

import (
	"bytes"
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
	DetailType string  `json:"detail-type"`
	Source     string  `json:"source"`
	Detail     *detail `json:"detail"`
}

type detail struct {
	ID            string   `json:"id"`
	Type          string   `json:"type"`
	AggregateType string   `json:"aggregateType"`
	AggregateID   string   `json:"aggregateId"`
	Version       integer  `json:"version"`
	OccurredAt    integer  `json:"occurredAt"`
	Data          document `json:"data"`
	Traceparent   string   `json:"traceparent"`
	CorrelationID string   `json:"correlationId"`
	CausationID   string   `json:"causationId"`
}

// Decode turns the body of a consumer's queue message, an EventBridge event, into the Event it carries.
//
// version and occurredAt may be JSON numbers or strings holding one, data may be native JSON or a
// string holding JSON text: a pipe passes DynamoDB's numbers and the stored JSON on as strings, other
// producers on the bus may not. A string in data that does not itself hold JSON stays a JSON string.
//
// An envelope without a correlationId begins its own chain: the event's id takes its place.
//
// The event's strings may be parts of one copy of the body: clone one that shall outlive the others.
//
// Every error wraps ErrNotAnEnvelope and names the field that is missing or wrong.
func Decode(body []byte) (Event, error) {
	env, err := open(string(body))
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	if env.Detail == nil || env.DetailType == "" || env.Source == "" {
		return Event{}, fmt.Errorf("%w: it needs detail, detail-type and source", ErrNotAnEnvelope)
	}
	d := env.Detail
	if d.Type != env.DetailType {
		return Event{}, fmt.Errorf("%w: detail.type %q differs from detail-type %q", ErrNotAnEnvelope, d.Type, env.DetailType)
	}
	if err := errors.Join(d.Version.problem("version"), d.OccurredAt.problem("occurredAt")); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	event := Event{
		ID:            d.ID,
		Type:          d.Type,
		Source:        env.Source,
		AggregateType: d.AggregateType,
		AggregateID:   d.AggregateID,
		Version:       d.Version.value,
		OccurredAt:    time.UnixMilli(d.OccurredAt.value).UTC(),
		Data:          d.Data.json,
		Traceparent:   d.Traceparent,
		CorrelationID: cmp.Or(d.CorrelationID, d.ID),
		CausationID:   d.CausationID,
	}
	// Where there are data, they are JSON already.
	if err := event.validate(d.Data.json != nil); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	return event, nil
}

// open reads the envelope. It takes a string so that Decode keeps no hold of its argument, and a caller
// that has a string need not copy it.
func open(text string) (envelope, error) {
	if env, ok := scan(text); ok {
		return env, nil
	}
	var env envelope
	err := json.Unmarshal([]byte(text), &env)
	return env, err
}

// integer is a JSON number, or a JSON string that holds one.
type integer struct {
	value int64
	given bool
	wrong string // the JSON text when it is neither
}

// UnmarshalJSON implements json.Unmarshaler. It leaves complaining to problem, which knows the field.
func (n *integer) UnmarshalJSON(raw []byte) (err error) {
	n.given = true
	if n.value, err = strconv.ParseInt(string(bytes.Trim(raw, `"`)), 10, 64); err != nil {
		n.wrong = string(raw)
	}
	return nil
}

func (n *integer) problem(field string) error {
	switch {
	case !n.given:
		return fmt.Errorf("%s is missing, a whole number is needed", field)
	case n.wrong != "":
		return fmt.Errorf("%s is %s, a whole number is needed", field, n.wrong)
	}
	return nil
}

// document is JSON: that in a JSON string which holds JSON text, else the value itself.
type document struct {
	json json.RawMessage
	text string // the JSON string, where it is one
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *document) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &d.text); err != nil {
			return err
		}
		if inner := []byte(d.text); json.Valid(inner) {
			d.json = inner
			return nil
		}
	}
	d.json = bytes.Clone(raw)
	return nil
}

package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// ErrNotAnEnvelope is wrapped by every error of Decode: the body will not decode however often it is
// delivered again.
var ErrNotAnEnvelope = errors.New("not an outbox envelope")

// Decode returns the Event that the body of a consumer's queue message, an EventBridge event, carries.
//
// Each field of the detail may come in any of three forms: as a JSON string, as pipes pass on the scalars
// of an item; in DynamoDB's form, {"S": "…"} or {"N": "…"}, as pipes pass on its attributes; or as plain
// JSON, as other producers may write it. Data is what the string holds, where that is JSON, else the string
// itself.
//
// Decode reads what the consumer's rule has matched: names are those of DetailFields to the letter, other
// fields are ignored, and an object that has one name twice is refused, for nobody knows which of the two
// values the rule has matched.
//
// An envelope without a correlationId begins its own chain: the event's id takes its place.
//
// Every error wraps ErrNotAnEnvelope and names all fields that are missing or wrong.
func Decode(body []byte) (Event, error) {
	event, err := decode(body)
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotAnEnvelope, err)
	}
	return event, nil
}

func decode(body []byte) (Event, error) {
	envelope, err := readObject("the message", body)
	if err != nil {
		return Event{}, err
	}
	detail, err := readObject("detail", envelope.members["detail"])
	if err != nil {
		return Event{}, err
	}
	event := Event{
		ID:            detail.text(AttrID),
		Type:          detail.text(AttrType),
		Source:        envelope.text("source"),
		AggregateType: detail.text(AttrAggregateType),
		AggregateID:   detail.text(AttrAggregateID),
		Version:       detail.number(AttrVersion),
		OccurredAt:    time.UnixMilli(detail.number(AttrOccurredAt)).UTC(),
		Data:          detail.document(AttrData),
		Traceparent:   detail.text(AttrTraceparent),
		CorrelationID: cmp.Or(detail.text(AttrCorrelationID), detail.text(AttrID)),
		CausationID:   detail.text(AttrCausationID),
	}
	if detailType := envelope.text("detail-type"); detailType != event.Type {
		envelope.refuse("detail-type must be the detail's type %q, got %q", event.Type, detailType)
	}
	return event, errors.Join(errors.Join(envelope.problems...), errors.Join(detail.problems...), event.Validate())
}

// An object is a JSON object whose members are read one by one, with all that is wrong with them.
type object struct {
	members  map[string]json.RawMessage
	problems []error
}

// readObject reads the one object in raw.
func readObject(name string, raw []byte) (*object, error) {
	if len(raw) == 0 {
		return nil, fmt.Errorf("%s is missing, it must be a JSON object", name)
	}
	values := json.NewDecoder(bytes.NewReader(raw))
	if start, err := values.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("%s must be a JSON object, got %s", name, brief(raw))
	}
	o := &object{members: map[string]json.RawMessage{}}
	err := readNames(values, func(member string) error {
		var value json.RawMessage
		err := values.Decode(&value)
		o.members[member] = value
		return err
	})
	if err == nil {
		if _, end := values.Token(); end != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s must be a JSON object: %w", name, err)
	}
	return o, nil
}

// readNames reads the rest of an object behind its brace. value reads the value of each member.
func readNames(values *json.Decoder, value func(member string) error) error {
	seen := map[string]bool{}
	for values.More() {
		token, err := values.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("each name must stand once in an object, got %q twice", name)
		}
		seen[name] = true
		if err := value(name); err != nil {
			return err
		}
	}
	_, err := values.Token() // its end
	return err
}

func (o *object) refuse(format string, args ...any) {
	o.problems = append(o.problems, fmt.Errorf(format, args...))
}

// text returns a string. It is empty for a member that is missing: what must not be empty, Validate checks.
func (o *object) text(name string) string {
	raw, ok := o.members[name]
	if !ok {
		return ""
	}
	var s string
	if json.Unmarshal(unwrap(raw, "S"), &s) != nil {
		o.refuse("%s must be a string, got %s", name, brief(raw))
	}
	return s
}

// number returns a whole number. For one that it cannot read it returns 1, to which Validate adds nothing.
func (o *object) number(name string) int64 {
	raw, ok := o.members[name]
	if !ok {
		o.refuse("%s is missing, it must be a whole number", name)
		return 1
	}
	digits := unwrap(unwrap(raw, "N"), "S")
	var quoted string
	if json.Unmarshal(digits, &quoted) == nil && string(digits) != "null" {
		digits = []byte(quoted)
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		o.refuse("%s must be a whole number, got %s", name, brief(raw))
		return 1
	}
	return n
}

// document returns the JSON in a string that holds some, else the value itself.
func (o *object) document(name string) json.RawMessage {
	raw := unwrap(o.members[name], "S")
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
		return raw
	}
	if len(raw) > 0 {
		if err := checkNames(json.NewDecoder(bytes.NewReader(raw))); err != nil {
			o.refuse("%s: %w", name, err)
		}
	}
	return raw
}

// unwrap returns the string in DynamoDB's form of a value of the kind, and any other value as it is.
func unwrap(raw json.RawMessage, kind string) json.RawMessage {
	if !bytes.HasPrefix(raw, []byte("{")) {
		return raw
	}
	var attribute map[string]json.RawMessage
	if json.Unmarshal(raw, &attribute) != nil || len(attribute) != 1 || checkNames(json.NewDecoder(bytes.NewReader(raw))) != nil {
		return raw
	}
	if value := attribute[kind]; bytes.HasPrefix(value, []byte(`"`)) {
		return value
	}
	return raw
}

// checkNames reads the next value and reports a name that an object in it has twice.
func checkNames(values *json.Decoder) error {
	token, err := values.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return readNames(values, func(string) error { return checkNames(values) })
	case json.Delim('['):
		for values.More() {
			if err := checkNames(values); err != nil {
				return err
			}
		}
		_, err = values.Token() // its end
	}
	return err
}

// brief returns the beginning of a value, for a message.
func brief(raw []byte) string {
	const most = 100
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

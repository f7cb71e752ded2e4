package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A kind is the JSON type of a value.
type kind byte

const (
	object kind = iota
	array
	text
	number
	boolean
	null
)

// A value is one JSON value of a pattern. Unlike a map it keeps the order of members and repeated names, both of which
// matter: see [fields].
type value struct {
	kind    kind
	text    string   // the content of a string; the literal of a number, boolean or null
	members []member // of an object
	items   []value  // of an array
}

type member struct {
	name  string
	value value
}

// onlyMember returns the object's member if it has exactly one.
func (v value) onlyMember() (member, bool) {
	if v.kind != object || len(v.members) != 1 {
		return member{}, false
	}
	return v.members[0], true
}

// parse parses exactly one JSON value.
func parse(raw []byte) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := parseValue(dec)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return value{}, fmt.Errorf("unexpected end of JSON at character %d", len(raw))
	}
	if err != nil {
		return value{}, fmt.Errorf("%w at character %d", err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return value{}, fmt.Errorf("more than one JSON value at character %d", dec.InputOffset())
	}
	return v, nil
}

func parseValue(dec *json.Decoder) (value, error) {
	token, err := dec.Token()
	if err != nil {
		return value{}, err
	}
	switch t := token.(type) {
	case string:
		return value{kind: text, text: t}, nil
	case json.Number:
		return value{kind: number, text: t.String()}, nil
	case bool:
		return value{kind: boolean, text: fmt.Sprint(t)}, nil
	case json.Delim:
		if t == '{' {
			return parseObject(dec)
		}
		return parseArray(dec)
	default:
		return value{kind: null, text: "null"}, nil
	}
}

func parseObject(dec *json.Decoder) (value, error) {
	v := value{kind: object}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return value{}, err
		}
		content, err := parseValue(dec)
		if err != nil {
			return value{}, err
		}
		v.members = append(v.members, member{name: name.(string), value: content})
	}
	_, err := dec.Token()
	return v, err
}

func parseArray(dec *json.Decoder) (value, error) {
	v := value{kind: array}
	for dec.More() {
		item, err := parseValue(dec)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	_, err := dec.Token()
	return v, err
}

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// A Status is the statusCode of a function's answer: a number, or a string that is one.
type Status int

// UnmarshalJSON implements json.Unmarshaler.
func (s *Status) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	status, err := strconv.Atoi(string(bytes.Trim(raw, `"`)))
	if err != nil || status < 100 || status > 599 {
		return fmt.Errorf("statusCode must be a number from 100 to 599, got %s", raw)
	}
	*s = Status(status)
	return nil
}

// A HeaderValue is the value of a header in a function's answer: a string, a number or a boolean.
type HeaderValue string

// UnmarshalJSON implements json.Unmarshaler.
func (v *HeaderValue) UnmarshalJSON(raw []byte) error {
	var text string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		*v = HeaderValue(text)
	case raw[0] == '{' || raw[0] == '[':
		return fmt.Errorf("a header must be a string, a number or a boolean, got %s", raw)
	default:
		*v = HeaderValue(raw)
	}
	return nil
}

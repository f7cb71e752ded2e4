// Package jsontext reads and writes JSON as AWS's services do: numbers stay as they are written, and <, > and & are not
// escaped.
package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Compact returns the value as JSON. The value must be one that JSON has.
func Compact(value any) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("a value is always JSON: %v", err))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// Decode returns the value of a JSON text.
func Decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("there is more after the JSON value %.60s", text)
	}
	return value, nil
}

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A Number is a number of a request: in the Query protocol it is a text.
type Number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseFloat(string(bytes.Trim(raw, `"`)), 64)
	if err != nil {
		return fmt.Errorf("the value must be a number, got %s", raw)
	}
	*n = Number(value)
	return nil
}

// A Bool is a boolean of a request: in the Query protocol it is a text.
type Bool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseBool(string(bytes.Trim(raw, `"`)))
	if err != nil {
		return fmt.Errorf("the value must be true or false, got %s", raw)
	}
	*b = Bool(value)
	return nil
}

// A Time is a time of a request: seconds since 1970 in JSON and CBOR, ISO 8601 in the Query protocol.
type Time time.Time

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(raw []byte) error {
	var seconds float64
	if json.Unmarshal(raw, &seconds) == nil {
		*t = Time(time.UnixMilli(int64(seconds * 1000)).UTC())
		return nil
	}
	value, err := time.Parse(time.RFC3339, string(bytes.Trim(raw, `"`)))
	if err != nil {
		return fmt.Errorf("the value must be a time, got %s", raw)
	}
	*t = Time(value)
	return nil
}

// seconds returns the time as JSON and CBOR have it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

package main

import (
	"errors"
	"time"
)

// moment is a flag's value: a time in the form of RFC 3339, or a duration, for so long ago.
type moment struct {
	time.Time
	text string
}

// Set implements pflag.Value.
func (m *moment) Set(text string) error {
	if ago, err := parseDuration(text); err == nil {
		m.Time, m.text = time.Now().Add(-ago), text
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errMoment
	}
	m.Time, m.text = at, text
	return nil
}

var errMoment = errors.New("not a time") // flagError adds what is allowed

// String implements pflag.Value. The zero value has none, so that help shows no default.
func (m *moment) String() string { return m.text }

// Type implements pflag.Value.
func (m *moment) Type() string { return "time" }

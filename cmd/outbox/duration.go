package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// duration is a flag's value: a duration in Go's form, or whole days, "58d".
type duration struct {
	time.Duration
	given bool
}

// Set implements pflag.Value.
func (d *duration) Set(text string) error {
	value, err := parseDuration(text)
	if err != nil {
		return err
	}
	d.Duration, d.given = value, true
	return nil
}

var errDuration = errors.New("not a duration") // flagError adds what is allowed

func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		return 0, errDuration
	}
	return value, nil
}

// String implements pflag.Value. The zero value has none, so that help shows no default.
func (d *duration) String() string {
	if !d.given {
		return ""
	}
	return d.Duration.String()
}

// Type implements pflag.Value.
func (d *duration) Type() string { return "duration" }

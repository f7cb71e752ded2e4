package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// A Plan defines which faults to inject.
type Plan struct {
	// Seed determines all decisions. With another seed, the rates fire at other moments.
	Seed uint64 `json:"seed"`
	// Rates are probabilities from 0 to 1. Default of each: 0, never.
	Rates map[Point]float64 `json:"rates,omitempty"`
	// Script lists faults that fire at exact moments, in addition to the rates.
	Script []Step `json:"script,omitempty"`
	// TrimStopped makes the records that come while a pipe is stopped leave its stream before it is started again, as
	// those do that are a day old. It is no fault by itself, and it does not end with them. Default: false.
	TrimStopped bool `json:"trimStopped,omitempty"`
	// Until is when the faults end by themselves. Default: with the run.
	Until Time `json:"until,omitzero"`
}

// A Step is one fault of a script.
type Step struct {
	Point Point `json:"point"`
	// Key is a key, an event or an event's id. Default: any.
	Key string `json:"key,omitempty"`
	// Nth is the check of the point for the key at which the fault fires, counted from 1. Default: 1.
	Nth int `json:"nth,omitempty"`
}

// A Time is a time stamp as in RFC 3339, or zero for none.
type Time struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(raw []byte) error {
	if string(raw) == `""` {
		return nil
	}
	if err := t.Time.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("until must be a time stamp as in RFC 3339 or an empty string, got %s", raw)
	}
	return nil
}

// Load reads a plan from a JSON file. Its error names everything that is wrong with the plan, except that a file
// which is not valid JSON, or has an unknown field, is reported at its first such place.
func Load(path string) (*Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fault plan: %w", err)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err = dec.Decode(&p); err == nil && dec.Decode(&struct{}{}) != io.EOF {
		err = errors.New("the file must hold exactly one plan, got more text after it")
	}
	if err == nil {
		err = p.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("fault plan %s: %w", path, err)
	}
	return &p, nil
}

func (p *Plan) validate() error {
	var problems []error
	unknown := false
	known := func(point Point) bool {
		if slices.Contains(Points, point) {
			return true
		}
		unknown = true
		problems = append(problems, fmt.Errorf("unknown point %q", point))
		return false
	}
	for _, point := range slices.Sorted(maps.Keys(p.Rates)) {
		if rate := p.Rates[point]; known(point) && !(rate >= 0 && rate <= 1) {
			problems = append(problems, fmt.Errorf("the rate of %s must be a number from 0 to 1, got %v", point, rate))
		}
	}
	for _, step := range p.Script {
		if known(step.Point) && step.Nth < 0 {
			problems = append(problems, fmt.Errorf("nth of a step at %s must be 1 or more, got %d", step.Point, step.Nth))
		}
	}
	if unknown {
		problems = append(problems, fmt.Errorf("a point must be one of %s", pointList()))
	}
	return errors.Join(problems...)
}

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

// Plan says which faults to inject.
type Plan struct {
	// Seed of all decisions. Another seed picks other occasions.
	Seed uint64 `json:"seed"`
	// Rates are probabilities from 0 to 1. Default of each: 0, never.
	Rates map[Point]float64 `json:"rates,omitempty"`
	// Script fires exactly where it says, beside the rates.
	Script []Step `json:"script,omitempty"`
	// Until is when the faults end by themselves. Default: with the run.
	Until Time `json:"until,omitzero"`
}

// Step is one fault of a script.
type Step struct {
	Point Point `json:"point"`
	// Key is a key, an event or an event's id. Default: any.
	Key string `json:"key,omitempty"`
	// Nth counts the times that the point is asked for the key, from 1. Default: 1.
	Nth int `json:"nth,omitempty"`
}

// Time is a time stamp as in RFC 3339, or empty for none.
type Time struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(raw []byte) error {
	if string(raw) == `""` {
		return nil
	}
	if err := t.Time.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("until is %s, allowed is a time stamp as in RFC 3339, or an empty string", raw)
	}
	return nil
}

// Load reads a plan from a JSON file. Its error names everything that is wrong with the plan.
func Load(path string) (*Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fault plan: %w", err)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err = dec.Decode(&p); err == nil && dec.Decode(&struct{}{}) != io.EOF {
		err = errors.New("there is something after the plan's end")
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
			problems = append(problems, fmt.Errorf("the rate of %s is %v, allowed are 0 to 1", point, rate))
		}
	}
	for _, step := range p.Script {
		if known(step.Point) && step.Nth < 0 {
			problems = append(problems, fmt.Errorf("nth of a step at %s is %d, allowed are 1 and more, or nothing for 1", step.Point, step.Nth))
		}
	}
	if unknown {
		problems = append(problems, fmt.Errorf("the points are %s", pointList()))
	}
	return errors.Join(problems...)
}

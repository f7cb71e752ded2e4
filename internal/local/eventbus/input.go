package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// An input selects what a target receives of an event.
// Source: EventBridge API reference, Target: Input, InputPath.
type input struct {
	constant json.RawMessage // or nil
	path     []string        // fields to follow from the event; none: the whole event
}

func newInput(constant, path *string) (input, error) {
	switch {
	case constant != nil && path != nil:
		return input{}, errors.New("Input and InputPath are mutually exclusive")
	case constant != nil:
		if !json.Valid([]byte(*constant)) {
			return input{}, fmt.Errorf("Input must be valid JSON, got %q", *constant)
		}
		return input{constant: json.RawMessage(*constant)}, nil
	case path == nil || *path == "$":
		return input{}, nil
	}
	fields, found := strings.CutPrefix(*path, "$.")
	if !found || strings.ContainsAny(fields, "[]*?@()'\" ") {
		return input{}, fmt.Errorf("InputPath must be $ or a path of fields such as $.detail.data in the local run, got %q", *path)
	}
	return input{path: strings.Split(fields, ".")}, nil
}

// apply returns what the target receives of the event. AWS does not document what happens to an event that lacks
// the path; here its delivery fails permanently.
func (in input) apply(event json.RawMessage) (json.RawMessage, error) {
	if in.constant != nil {
		return in.constant, nil
	}
	for i, name := range in.path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(event, &fields); err != nil || fields[name] == nil {
			return nil, fmt.Errorf("the event has no $.%s", strings.Join(in.path[:i+1], "."))
		}
		event = fields[name]
	}
	return event, nil
}

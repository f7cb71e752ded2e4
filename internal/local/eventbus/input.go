package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// input says what of an event a target gets.
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
			return input{}, fmt.Errorf("Input is %q, valid JSON is needed", *constant)
		}
		return input{constant: json.RawMessage(*constant)}, nil
	case path == nil || *path == "$":
		return input{}, nil
	}
	fields, found := strings.CutPrefix(*path, "$.")
	if !found || strings.ContainsAny(fields, "[]*?@()'\" ") {
		return input{}, fmt.Errorf("InputPath is %q, the local run supports $ and fields such as $.detail.data", *path)
	}
	return input{path: strings.Split(fields, ".")}, nil
}

// of is what the target gets of the event. AWS does not say what becomes of an event that lacks the path; here
// its delivery fails for good.
func (in input) of(event json.RawMessage) (json.RawMessage, error) {
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

package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/transform"
)

// An input selects what a target receives of an event.
// Source: EventBridge API reference, Target: Input, InputPath, InputTransformer.
type input struct {
	constant json.RawMessage // or nil
	path     []string        // fields to follow from the event; none: the whole event
	template *transform.Template[occurrence]
	// attributes makes the constant one of EventBridge Scheduler, whose context attributes have values.
	attributes bool
}

// An occurrence is an event at an attempt to deliver it: what an input takes its values from.
type occurrence struct {
	event    json.RawMessage
	value    any    // of the event; decoded only for a template
	source   string // ARN of the rule or schedule
	accepted time.Time
	attempt  int // from 1
}

func newInput(p targetProperties) (input, error) {
	given := 0
	for _, set := range []bool{p.Input != nil, p.InputPath != nil, p.InputTransformer != nil} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return input{}, errors.New("Input, InputPath and InputTransformer are mutually exclusive")
	case p.Input != nil:
		if !json.Valid([]byte(*p.Input)) {
			return input{}, fmt.Errorf("Input must be valid JSON, got %q", *p.Input)
		}
		return input{constant: json.RawMessage(*p.Input)}, nil
	case p.InputTransformer != nil:
		template, err := p.InputTransformer.compile()
		return input{template: template}, err
	case p.InputPath == nil || *p.InputPath == "$":
		return input{}, nil
	}
	fields, found := strings.CutPrefix(*p.InputPath, "$.")
	if !found || strings.ContainsAny(fields, "[]*?@()'\" ") {
		return input{}, fmt.Errorf("InputPath must be $ or a path of fields such as $.detail.data in the local run, got %q", *p.InputPath)
	}
	return input{path: strings.Split(fields, ".")}, nil
}

// apply returns what the target receives of the event. AWS does not document what happens to an event that lacks
// the path, or of which a template makes what is not JSON; here its delivery fails permanently.
func (in input) apply(o occurrence) (json.RawMessage, error) {
	switch {
	case in.attributes:
		return o.withAttributes(in.constant), nil
	case in.constant != nil:
		return in.constant, nil
	case in.template != nil:
		return transformed(in.template, o)
	}
	event := o.event
	for i, name := range in.path {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(event, &fields); err != nil || fields[name] == nil {
			return nil, fmt.Errorf("the event has no $.%s", strings.Join(in.path[:i+1], "."))
		}
		event = fields[name]
	}
	return event, nil
}

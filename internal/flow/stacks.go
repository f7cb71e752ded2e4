package flow

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Template is the template of one stack.
type Template struct {
	Stack string // name of the stack
	Body  []byte // must be JSON
}

// A resource is one resource of a template.
type resource struct {
	Type       string         `json:"Type"`
	Properties map[string]any `json:"Properties"`
	Metadata   map[string]any `json:"Metadata"`
}

// A document is a template as far as this package reads it, or several in one: [join].
type document struct {
	Resources map[string]resource `json:"Resources"`
	Outputs   map[string]output   `json:"Outputs"`
}

// An output is one output of a template.
type output struct {
	Value  any `json:"Value"`
	Export struct {
		Name any `json:"Name"`
	} `json:"Export"`
}

// IDs returns what returns the id of a resource's node: its logical id, with the stack before it where several of the templates
// have the same: "Orders-dev/Queue", as in the hops of a local run.
func IDs(templates ...Template) (func(stack, logicalID string) string, error) {
	_, count, err := parse(templates)
	return func(stack, logicalID string) string { return scope{stack, count}.id(logicalID) }, err
}

// parse returns the templates, and how many of them have each logical id.
func parse(templates []Template) (documents []document, count map[string]int, err error) {
	count = map[string]int{}
	for _, t := range templates {
		var d document
		if err := json.Unmarshal(t.Body, &d); err != nil {
			return nil, nil, fmt.Errorf("read the flow from the template: %w", err)
		}
		documents = append(documents, d)
		for id := range d.Resources {
			count[id]++
		}
	}
	return documents, count, nil
}

// join returns the templates as one, whose resources have the ids of nodes.
func join(templates []Template) (document, error) {
	documents, count, err := parse(templates)
	joined := document{Resources: map[string]resource{}, Outputs: map[string]output{}}
	for i, d := range documents {
		s := scope{templates[i].Stack, count}
		for id, res := range d.Resources {
			res.Properties, _ = s.qualified(res.Properties).(map[string]any)
			joined.Resources[s.id(id)] = res
		}
		for id, out := range d.Outputs {
			out.Value = s.qualified(out.Value)
			joined.Outputs[s.stack+"/"+id] = out
		}
	}
	return joined, err
}

// A scope is where a template's references find their resources: in its own stack.
type scope struct {
	stack string
	count map[string]int // how many stacks have each logical id
}

// id returns the id for a logical id, which may have the name of an attribute behind it.
func (s scope) id(reference string) string {
	if logicalID, _, _ := strings.Cut(reference, "."); s.count[logicalID] > 1 {
		return s.stack + "/" + reference
	}
	return reference
}

// qualified returns a value that refers to resources by their ids.
func (s scope) qualified(value any) any {
	switch v := value.(type) {
	case []any:
		elements := make([]any, len(v))
		for i := range v {
			elements[i] = s.qualified(v[i])
		}
		return elements
	case map[string]any:
		members := make(map[string]any, len(v))
		for name, member := range v {
			members[name] = s.argument(name, s.qualified(member))
		}
		return members
	}
	return value
}

// argument returns the argument of a function that refers to a resource, and of any other what it is.
func (s scope) argument(function string, argument any) any {
	switch v := argument.(type) {
	case []any:
		if len(v) > 0 && (function == "Fn::GetAtt" || function == "Fn::Sub") {
			v[0] = s.argument(function, v[0])
		}
	case string:
		switch function {
		case "Ref", "Fn::GetAtt":
			return s.id(v)
		case "Fn::Sub":
			return inSub.ReplaceAllStringFunc(v, func(variable string) string { return "${" + s.id(variable[2:len(variable)-1]) + "}" })
		}
	}
	return argument
}

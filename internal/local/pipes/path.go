package pipes

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// pathSyntax is the part of JSON path that pipes accept: names of letters, digits, dashes, underscores and slashes,
// and array indices or [*].
// Source: EventBridge user guide, eb-pipes-input-transformation; Pipes API reference, the pattern of Time
// in PipeTargetEventBridgeEventBusParameters.
var pathSyntax = regexp.MustCompile(`^\$(\.[\w/-]+(\[(\d+|\*)\])*)*$`)

// steps matches one step of a path: a name, or an index in brackets.
var steps = regexp.MustCompile(`\.([\w/-]+)|\[(\d+|\*)\]`)

// A path is a compiled JSON path.
type path []string

func compilePath(text string) (path, error) {
	if !pathSyntax.MatchString(text) {
		return nil, fmt.Errorf("a JSON path of a pipe must be $ followed by names after dots, and indices or * in brackets, got %q", text)
	}
	var p path
	for _, m := range steps.FindAllStringSubmatch(text, -1) {
		p = append(p, m[1]+m[2])
	}
	return p, nil
}

// find returns the value at the path, and whether there is one. With a * it returns the list of the values at the
// rest of the path in each element.
func (p path) find(value any) (any, bool) {
	if len(p) == 0 {
		return value, true
	}
	switch node := value.(type) {
	case map[string]any:
		child, found := node[p[0]]
		if !found {
			return nil, false
		}
		return p[1:].find(child)
	case []any:
		if p[0] == "*" {
			all := []any{}
			for _, element := range node {
				if child, found := p[1:].find(element); found {
					all = append(all, child)
				}
			}
			return all, true
		}
		if i, err := strconv.Atoi(p[0]); err == nil && i < len(node) {
			return p[1:].find(node[i])
		}
	}
	return nil, false
}

// A parameter is a string parameter of a target: a constant, or a path into the record.
// Source: EventBridge user guide, eb-pipes-event-target, "Dynamic path parameters".
type parameter struct {
	name     string
	constant string
	path     path
	limit    int // in characters; 0: none
}

func compileParameter(name, text string, limit int) (parameter, error) {
	p := parameter{name: name, constant: text, limit: limit}
	if !strings.HasPrefix(text, "$") {
		_, err := p.checked(text)
		return p, err
	}
	var err error
	if p.path, err = compilePath(text); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	if p.path == nil {
		p.path = path{}
	}
	return p, nil
}

// resolve returns the parameter's value for a record; "" when the template does not set it.
func (p parameter) resolve(r Record) (string, error) {
	if p.path == nil {
		return p.constant, nil
	}
	value, found := p.path.find(r.Event)
	if !found {
		return "", fmt.Errorf("%s: the record has no value at %s", p.name, p.constant)
	}
	switch value.(type) {
	case string, json.Number, float64, int64, bool:
		return p.checked(asText(value))
	}
	return "", fmt.Errorf("%s: the value at %s in the record must be a string, a number or a boolean", p.name, p.constant)
}

func (p parameter) checked(value string) (string, error) {
	if n := len([]rune(value)); p.limit > 0 && n > p.limit {
		return "", fmt.Errorf("%s must have at most %d characters, got %d", p.name, p.limit, n)
	}
	return value, nil
}

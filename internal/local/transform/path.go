package transform

import (
	"fmt"
	"regexp"
	"strconv"
)

// pathSyntax is the part of JSON path that EventBridge accepts: names of letters, digits, dashes, underscores and slashes,
// and array indices or [*].
// Source: EventBridge user guide, eb-pipes-input-transformation and eb-transform-target-input; Pipes API reference, the
// pattern of Time in PipeTargetEventBridgeEventBusParameters.
var pathSyntax = regexp.MustCompile(`^\$(\.[\w/-]+(\[(\d+|\*)\])*)*$`)

// steps matches one step of a path: a name, or an index in brackets.
var steps = regexp.MustCompile(`\.([\w/-]+)|\[(\d+|\*)\]`)

// A Path is a compiled JSON path. The empty one is $, the whole value.
type Path []string

// CompilePath compiles a path.
func CompilePath(text string) (Path, error) {
	if !pathSyntax.MatchString(text) {
		return nil, fmt.Errorf("a JSON path must be $ followed by names after dots, and indices or * in brackets, got %q", text)
	}
	p := Path{}
	for _, m := range steps.FindAllStringSubmatch(text, -1) {
		p = append(p, m[1]+m[2])
	}
	return p, nil
}

// Find returns the value at the path, and whether there is one. With a * it returns the list of the values at the
// rest of the path in each element.
func (p Path) Find(value any) (any, bool) {
	if len(p) == 0 {
		return value, true
	}
	switch node := value.(type) {
	case map[string]any:
		child, found := node[p[0]]
		if !found {
			return nil, false
		}
		return p[1:].Find(child)
	case []any:
		if p[0] == "*" {
			all := []any{}
			for _, element := range node {
				if child, found := p[1:].Find(element); found {
					all = append(all, child)
				}
			}
			return all, true
		}
		if i, err := strconv.Atoi(p[0]); err == nil && i < len(node) {
			return p[1:].Find(node[i])
		}
	}
	return nil, false
}

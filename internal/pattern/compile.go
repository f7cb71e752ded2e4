package pattern

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A path names a field; no step contains a dot.
type path []string

func (p path) to(name string) path {
	return append(slices.Clip(p), strings.Split(name, ".")...)
}

func (p path) String() string { return strings.Join(p, ".") }

// A condition is what a pattern requires of one field: that one of the tests holds for one of its values.
type condition struct {
	tests  []test
	absent bool // {"exists": false} is among the alternatives: a field without a value matches too
	globs  []glob
}

// fields is a pattern without $or: the condition of each path must hold. When a pattern names a path twice, the last
// one counts.
type fields map[string]condition

// reserved lists the names that cannot be fields inside $or: AWS reserves them for operators.
// Source: aws/event-ruler, Constants.java.
var reserved = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

type compiler struct {
	dialect Dialect
}

// object adds the conditions of one object of the pattern to each of the alternatives. An $or multiplies the
// alternatives.
func (c compiler) object(alternatives []fields, at path, v value, inOr bool) ([]fields, error) {
	if len(v.members) == 0 {
		return nil, invalid(at, "Empty objects are not allowed")
	}
	var err error
	for _, m := range v.members {
		switch {
		case m.name == "$or":
			alternatives, err = c.or(alternatives, at, m.value)
		case inOr && slices.Contains(reserved, m.name):
			err = invalid(at, "%s is Ruler reserved fieldName which cannot be used inside $or.", m.name)
		case m.value.kind == object:
			alternatives, err = c.object(alternatives, at.to(m.name), m.value, inOr)
		case m.value.kind == array:
			var cond condition
			cond, err = c.condition(at.to(m.name), m.value)
			for _, f := range alternatives {
				f[at.to(m.name).String()] = cond
			}
		default:
			err = invalid(at.to(m.name), "%q must be an object or an array", m.name)
		}
		if err != nil {
			return nil, err
		}
	}
	return alternatives, nil
}

func (c compiler) or(alternatives []fields, at path, v value) ([]fields, error) {
	if v.kind != array {
		return nil, invalid(at, "It must be an Array followed with $or.")
	}
	if len(v.items) < 2 {
		return nil, invalid(at, "There must have at least 2 Objects in $or relationship.")
	}
	var all []fields
	for _, item := range v.items {
		if item.kind != object {
			return nil, invalid(at, "Only JSON object is allowed in array of $or relationship.")
		}
		copied := make([]fields, len(alternatives))
		for i, f := range alternatives {
			copied[i] = maps.Clone(f)
		}
		extended, err := c.object(copied, at, item, true)
		if err != nil {
			return nil, err
		}
		if all = append(all, extended...); len(all) > maxBranches {
			return nil, invalid(at, "$or makes more than %d combinations", maxBranches)
		}
	}
	return all, nil
}

func (c compiler) condition(at path, v value) (condition, error) {
	var cond condition
	if len(v.items) == 0 {
		return cond, invalid(at, "Empty arrays are not allowed")
	}
	for _, item := range v.items {
		switch item.kind {
		case array:
			return cond, invalid(at, "Match value must be String, number, true, false, or null")
		case object:
			if err := c.operator(&cond, at, item); err != nil {
				return cond, err
			}
		default:
			cond.tests = append(cond.tests, equals(item))
		}
	}
	if len(cond.globs) > 0 && complexity(cond.globs) > maxComplexity {
		return cond, invalid(at, "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character")
	}
	return cond, nil
}

func invalid(at path, format string, args ...any) error {
	return &InvalidError{Path: at.String(), Reason: fmt.Sprintf(format, args...)}
}

// A step is a node in the tree of all field names of a pattern, which selects the values to read from an event.
type step struct {
	next  map[string]*step
	field int // number of the field that ends here, or noField
}

const noField = -1

// assemble numbers the fields in the order of their paths and arranges each alternative in that order.
func assemble(alternatives []fields) *Pattern {
	var paths []string
	for _, f := range alternatives {
		for p := range f {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths) // as event-ruler does; this keeps the fields of one object together
	paths = slices.Compact(paths)

	p := &Pattern{root: &step{field: noField}, fields: len(paths)}
	for i, at := range paths {
		p.root.insert(strings.Split(at, "."), i)
	}
	for _, f := range alternatives {
		var b branch
		for i, at := range paths {
			if cond, ok := f[at]; ok {
				b = append(b, check{field: i, condition: cond})
			}
		}
		p.branches = append(p.branches, b)
	}
	return p
}

func (s *step) insert(p path, field int) {
	for _, name := range p {
		if s.next[name] == nil {
			if s.next == nil {
				s.next = map[string]*step{}
			}
			s.next[name] = &step{field: noField}
		}
		s = s.next[name]
	}
	s.field = field
}

// follow returns the step for a name in an event, or nil when the pattern has no such field.
func (s *step) follow(name string) *step {
	for s != nil {
		first, rest, more := strings.Cut(name, ".")
		s = s.next[first]
		if !more {
			return s
		}
		name = rest
	}
	return nil
}

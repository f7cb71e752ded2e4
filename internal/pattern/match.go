package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// An Event is a decoded JSON object. It is decoded once and matched against many patterns.
type Event struct {
	root map[string]any
}

// Decode decodes an event. It returns an error when event is not exactly one JSON object.
func Decode(event []byte) (Event, error) {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return Event{}, fmt.Errorf("event must be a JSON object: %w", err)
	}
	if root == nil {
		return Event{}, errors.New("event must be a JSON object, got null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Event{}, errors.New("event must be one JSON object, got more than one JSON value")
	}
	return Event{root: root}, nil
}

// A leaf is a value that is neither an object nor an array. Only leaves match.
type leaf struct {
	kind    kind
	text    string
	micros  int64 // of a number that AWS compares as a number, see [micros]
	numeric bool
}

func toLeaf(v any) leaf {
	switch v := v.(type) {
	case string:
		return leaf{kind: text, text: v}
	case json.Number:
		n, ok := micros(v.String())
		return leaf{kind: number, text: v.String(), micros: n, numeric: ok}
	case bool:
		return leaf{kind: boolean, text: fmt.Sprint(v)}
	default:
		return leaf{kind: null, text: "null"}
	}
}

// A place is an element of an array of the event.
type place struct{ array, index int }

// A found is a leaf of the event and the array elements that it is in, sorted by array number.
type found struct {
	leaf   leaf
	places []place
}

// collect returns the leaves of every field of the pattern. Arrays do not count as steps of a path.
// Source: aws/event-ruler README, "JSON Array Matching".
func collect(root *step, event Event, fields int) [][]found {
	c := collector{values: make([][]found, fields)}
	c.visit(root, event.root, nil)
	return c.values
}

type collector struct {
	values [][]found
	arrays int
}

func (c *collector) visit(s *step, v any, places []place) {
	switch v := v.(type) {
	case map[string]any:
		for name, content := range v {
			if next := s.follow(name); next != nil {
				c.visit(next, content, places)
			}
		}
	case []any:
		number := c.arrays
		c.arrays++
		for i, element := range v {
			switch element.(type) {
			case map[string]any, []any:
				c.visit(s, element, append(slices.Clip(places), place{number, i}))
			default:
				c.visit(s, element, places)
			}
		}
	default:
		if s.field != noField {
			c.values[s.field] = append(c.values[s.field], found{leaf: toLeaf(v), places: places})
		}
	}
}

// A check is the condition on one field.
type check struct {
	field int
	condition
}

// A branch is one alternative of a pattern: it matches when all its checks hold. The checks are sorted by field.
type branch []check

// matches reports whether all checks hold for leaves of which no two lie in different elements of one array.
// It processes one check after another and keeps the sets of elements in which the leaves so far can lie.
func (b branch) matches(values [][]found) bool {
	var room [4][]place // most events have no arrays, and then there is only one set
	sets := append(room[:0], nil)
	for i, c := range b {
		later := b[i+1:].arrays(values)
		var next [][]place
		for _, set := range sets {
			next = c.extend(next, set, values[c.field], later)
		}
		if len(next) == 0 {
			return false
		}
		sets = next
	}
	return true
}

// arrays returns the numbers of the arrays in which leaves of the checked fields lie.
func (b branch) arrays(values [][]found) map[int]bool {
	var all map[int]bool
	for _, c := range b {
		for _, f := range values[c.field] {
			for _, p := range f.places {
				if all == nil {
					all = map[int]bool{}
				}
				all[p.array] = true
			}
		}
	}
	return all
}

// extend appends to next the sets that result from one set and this check. It drops the arrays that no later check
// uses, which keeps the number of sets below the number of elements in the arrays.
func (c check) extend(next [][]place, set []place, values []found, later map[int]bool) [][]place {
	add := func(set []place) {
		set = restrictTo(set, later)
		if len(next) == 0 || !slices.Equal(next[len(next)-1], set) {
			next = append(next, set)
		}
	}
	present := false
	for _, f := range values {
		joined, ok := join(set, f.places)
		if !ok {
			continue
		}
		present = true
		if c.holds(f.leaf) {
			add(joined)
		}
	}
	if !present && c.absent {
		add(set)
	}
	return next
}

func (c condition) holds(l leaf) bool {
	for _, test := range c.tests {
		if test(l) {
			return true
		}
	}
	return false
}

// join merges two sets. It returns false when they hold different elements of one array.
func join(a, b []place) ([]place, bool) {
	if len(a) == 0 {
		return b, true
	}
	var joined []place
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].array < b[0].array:
			joined, a = append(joined, a[0]), a[1:]
		case a[0].array > b[0].array:
			joined, b = append(joined, b[0]), b[1:]
		case a[0].index != b[0].index:
			return nil, false
		default:
			joined, a, b = append(joined, a[0]), a[1:], b[1:]
		}
	}
	return append(append(joined, a...), b...), true
}

func restrictTo(set []place, arrays map[int]bool) []place {
	for i, p := range set {
		if !arrays[p.array] {
			kept := slices.Clone(set[:i])
			for _, p := range set[i:] {
				if arrays[p.array] {
					kept = append(kept, p)
				}
			}
			return kept
		}
	}
	return set
}

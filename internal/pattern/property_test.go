package pattern_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// TestEventMatchesItsOwnLeaves checks that a pattern of an event's own leaves, one element of each array, matches that
// event.
func TestEventMatchesItsOwnLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := drawObject(t, 3)
		p, ok := patternOf(t, event).(map[string]any)
		if !ok {
			t.Skip("the event has no leaf")
		}
		if !matches(t, p, event) {
			t.Fatalf("%s does not match %s", encode(t, p), encode(t, event))
		}
		p["another"] = []any{"x"}
		if matches(t, p, event) {
			t.Fatalf("%s matches %s, which has no field another", encode(t, p), encode(t, event))
		}
		p["another"] = []any{map[string]any{"exists": false}}
		if !matches(t, p, event) {
			t.Fatalf("%s does not match %s", encode(t, p), encode(t, event))
		}
	})
}

func drawObject(t *rapid.T, depth int) map[string]any {
	object := map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{1,2}`), 1, 3, rapid.ID).Draw(t, "names") {
		object[name] = drawValue(t, depth-1)
	}
	return object
}

func drawValue(t *rapid.T, depth int) any {
	shape := rapid.IntRange(0, 5).Draw(t, "shape")
	switch {
	case depth > 0 && shape == 0:
		return drawObject(t, depth)
	case depth > 0 && shape == 1:
		elements := make([]any, rapid.IntRange(0, 3).Draw(t, "elements"))
		for i := range elements {
			elements[i] = drawValue(t, depth-1)
		}
		return elements
	case shape == 2:
		return rapid.Bool().Draw(t, "bool")
	case shape == 3:
		return nil
	case shape == 4:
		return rapid.IntRange(-6e9, 6e9).Draw(t, "int")
	default:
		return rapid.String().Draw(t, "string")
	}
}

// patternOf returns a pattern for one leaf of each field, or nil when there is no leaf.
func patternOf(t *rapid.T, v any) any {
	switch v := v.(type) {
	case map[string]any:
		p := map[string]any{}
		for name, content := range v {
			if inner := patternOf(t, content); inner != nil {
				p[name] = inner
			}
		}
		if len(p) == 0 {
			return nil
		}
		return p
	case []any:
		for _, i := range rapid.Permutation(indices(len(v))).Draw(t, "element") {
			if p := patternOf(t, v[i]); p != nil {
				return p
			}
		}
		return nil
	default:
		return []any{"no match", drawTest(t, v)}
	}
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// drawTest draws a test that the leaf passes.
func drawTest(t *rapid.T, leaf any) any {
	op := func(name string, argument any) any { return map[string]any{name: argument} }
	tests := []any{leaf, op("exists", true), op("anything-but", "surely not this")}
	switch v := leaf.(type) {
	case string:
		middle := len([]rune(v)) / 2
		runes := []rune(v)
		escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace
		tests = append(tests,
			op("prefix", string(runes[:middle])), op("suffix", string(runes[middle:])),
			op("prefix", op("equals-ignore-case", string(runes[:middle]))),
			op("equals-ignore-case", v),
			op("wildcard", escaped(string(runes[:middle]))+"*"+escaped(string(runes[middle:]))))
	case int:
		if v > -5e9 && v < 5e9 {
			tests = append(tests, op("numeric", []any{"=", v}), op("numeric", []any{">=", v, "<", v + 1}), op("numeric", []any{"<=", v}))
		}
	}
	return rapid.SampledFrom(tests).Draw(t, "test")
}

func matches(t *rapid.T, p, event any) bool {
	compiled, err := pattern.Compile(encode(t, p), pattern.Rules)
	if err != nil {
		if strings.Contains(err.Error(), "characters are more than") {
			t.Skip(err.Error())
		}
		t.Fatal(err)
	}
	matched, err := compiled.MatchJSON(encode(t, event))
	if err != nil {
		t.Fatal(err)
	}
	return matched
}

func encode(t *rapid.T, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

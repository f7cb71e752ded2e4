package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

type group struct {
	Source string          `json:"source"`
	Event  json.RawMessage `json:"event"`
	Cases  []struct {
		Name    string          `json:"name"`
		Pattern json.RawMessage `json:"pattern"`
		Match   bool            `json:"match"`
	} `json:"cases"`
}

func TestDocumentedPatterns(t *testing.T) {
	for _, g := range load[group](t, "testdata/match.json") {
		t.Run(g.Source, func(t *testing.T) {
			for _, c := range g.Cases {
				t.Run(c.Name, func(t *testing.T) {
					if got := match(t, string(c.Pattern), string(g.Event)); got != c.Match {
						t.Errorf("pattern %s matches %s: %v, want %v", c.Pattern, g.Event, got, c.Match)
					}
				})
			}
		})
	}
}

func TestInvalidPatternsAreRefused(t *testing.T) {
	type invalid struct{ Name, Dialect, Pattern, Reason string }
	for _, c := range load[invalid](t, "testdata/invalid.json") {
		t.Run(c.Name, func(t *testing.T) {
			dialect := pattern.Rules
			if c.Dialect == "pipes" {
				dialect = pattern.Pipes
				if _, err := pattern.Compile([]byte(c.Pattern), pattern.Rules); err != nil {
					t.Errorf("rules refuse it too: %v", err)
				}
			}
			_, err := pattern.Compile([]byte(c.Pattern), dialect)
			var refused *pattern.InvalidError
			if !errors.As(err, &refused) {
				t.Fatalf("error is %v, want an InvalidError", err)
			}
			if want := "Event pattern is not valid. Reason: " + c.Reason; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error is %q, want %q", err, want)
			}
		})
	}
}

// Source: EventBridge user guide, eb-create-pattern-operators, column "Pipe support".
func TestPipesCompileTheirOperators(t *testing.T) {
	for _, operator := range []string{
		`"x"`, `""`, `null`, `100`, `{"prefix": "x"}`, `{"suffix": "x"}`, `{"prefix": {"equals-ignore-case": "x"}}`,
		`{"suffix": {"equals-ignore-case": "x"}}`, `{"equals-ignore-case": "x"}`, `{"anything-but": "x"}`, `{"anything-but": ["x", "y"]}`,
		`{"numeric": [">", 10, "<=", 20]}`, `{"exists": true}`, `{"exists": false}`, `{"cidr": "10.0.0.0/8"}`,
	} {
		p := fmt.Sprintf(`{"a": [%s], "$or": [{"b": [1]}, {"c": [2]}]}`, operator)
		if _, err := pattern.Compile([]byte(p), pattern.Pipes); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestLastOfRepeatedFieldsCounts(t *testing.T) {
	// Source: EventBridge user guide, eb-create-pattern, considerations.
	repeated := `{"detail": {"location": [{"prefix": "us-"}], "location": [{"anything-but": "us-east"}]}}`
	if !match(t, repeated, `{"detail": {"location": "eu-central-1"}}`) {
		t.Error("the first of two values counts")
	}
	if split := `{"detail": {"a": [1]}, "detail": {"b": [2]}}`; match(t, split, `{"detail": {"b": 2}}`) {
		t.Error("the fields of a repeated object are not merged")
	}
}

func TestEscapesEqualTheirCharacters(t *testing.T) {
	if !match(t, `{"n\u0061me": ["caf\u00e9 \"\\\n"]}`, `{"name": "café \"\\\u000a"}`) {
		t.Error("escaped and plain characters differ")
	}
}

func TestLimits(t *testing.T) {
	long := func(n int) []byte {
		const frame = `{"a":[""]}`
		return []byte(strings.Replace(frame, `""`, `"`+strings.Repeat("é", n-len(frame))+`"`, 1))
	}
	for name, c := range map[string]struct {
		dialect pattern.Dialect
		length  int
		ok      bool
	}{
		"rule at the limit":      {pattern.Rules, pattern.MaxRuleLength, true},
		"rule above the limit":   {pattern.Rules, pattern.MaxRuleLength + 1, false},
		"filter at the limit":    {pattern.Pipes, pattern.MaxFilterLength, true},
		"filter above the limit": {pattern.Pipes, pattern.MaxFilterLength + 1, false},
	} {
		if _, err := pattern.Compile(long(c.length), c.dialect); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOrIsLimitedToAThousandCombinations(t *testing.T) {
	or := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"a":[1]},`, n), ",") + "]"
	}
	nested := func(factors ...int) string {
		var b strings.Builder
		for i, n := range factors {
			fmt.Fprintf(&b, `"x%d": {"$or": %s},`, i, or(n))
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	if _, err := pattern.Compile([]byte(nested(10, 10, 10)), pattern.Rules); err != nil {
		t.Errorf("1000 combinations: %v", err)
	}
	for _, p := range []string{nested(7, 11, 13), nested(20, 20, 20, 20, 20)} {
		_, err := pattern.Compile([]byte(p), pattern.Rules)
		if err == nil || !strings.Contains(err.Error(), "1000 combinations") {
			t.Errorf("more than 1000 combinations: %v", err)
		}
	}
}

func TestEventsMustBeObjects(t *testing.T) {
	p, err := pattern.Compile([]byte(`{"a": [1]}`), pattern.Rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{``, `null`, `1`, `[]`, `"{}"`, `{`, `{} {}`, `{"a": 01}`} {
		if _, err := p.MatchJSON([]byte(event)); err == nil {
			t.Errorf("%q is accepted", event)
		}
	}
}

// TestArraysDoNotMultiply checks that the time does not grow with the product of independent arrays: ten arrays of ten
// elements would have ten billion combinations.
func TestArraysDoNotMultiply(t *testing.T) {
	var p, event strings.Builder
	for i := range 10 {
		fmt.Fprintf(&p, `"f%d": {"a": [{"exists": true}], "b": [{"exists": true}]},`, i)
		fmt.Fprintf(&event, `"f%d": [%s],`, i, strings.TrimSuffix(strings.Repeat(`{"a": 1, "b": 2},`, 10), ","))
	}
	start := time.Now()
	if !match(t, "{"+p.String()+`"end": ["x"]}`, "{"+event.String()+`"end": "x"}`) {
		t.Error("it does not match")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func match(t *testing.T, p, event string) bool {
	t.Helper()
	compiled, err := pattern.Compile([]byte(p), pattern.Rules)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	matched, err := compiled.MatchJSON([]byte(event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return matched
}

func load[T any](t testing.TB, file string) []T {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return cases
}

func ExamplePattern_MatchJSON() {
	p, err := pattern.Compile([]byte(`{"source": ["orders"], "detail": {"version": [{"numeric": [">", 1]}]}}`), pattern.Rules)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range []string{`{"source": "orders", "detail": {"version": 2}}`, `{"source": "orders", "detail": {"version": "2"}}`} {
		matched, err := p.MatchJSON([]byte(event))
		fmt.Println(matched, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

package pattern_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// FuzzCompile looks for patterns that make Compile panic, or fail without a reason.
func FuzzCompile(f *testing.F) {
	for _, c := range load[struct{ Pattern string }](f, "testdata/invalid.json") {
		f.Add([]byte(c.Pattern))
	}
	for _, g := range load[group](f, "testdata/match.json") {
		for _, c := range g.Cases {
			f.Add([]byte(c.Pattern))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := pattern.Compile(raw, pattern.Rules)
		var refused *pattern.InvalidError
		switch {
		case err != nil && (!errors.As(err, &refused) || refused.Reason == ""):
			t.Fatalf("%q: error %v has no reason", raw, err)
		case err == nil && !json.Valid(raw):
			t.Fatalf("%q is not JSON and compiles", raw)
		}
		if _, err := pattern.Compile(raw, pattern.Pipes); err == nil && refused != nil && len(raw) <= pattern.MaxRuleLength {
			t.Fatalf("%q compiles for a pipe but not for a rule: %v", raw, refused)
		}
	})
}

// FuzzMatch looks for an event that makes a pattern panic or match differently the second time.
func FuzzMatch(f *testing.F) {
	for _, g := range load[group](f, "testdata/match.json") {
		for _, c := range g.Cases {
			f.Add([]byte(c.Pattern), []byte(g.Event))
		}
	}
	f.Fuzz(func(t *testing.T, rawPattern, rawEvent []byte) {
		p, err := pattern.Compile(rawPattern, pattern.Rules)
		if err != nil {
			return
		}
		event, err := pattern.Decode(rawEvent)
		if err != nil {
			return
		}
		first := p.Match(event)
		if again := p.Match(event); again != first {
			t.Fatalf("%q matches %q: %v, then %v", rawPattern, rawEvent, first, again)
		}
	})
}

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string) (*Plan, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestLoad(t *testing.T) {
	p, err := load(t, `{"seed": 7, "rates": {"bus.partial": 0.5, "queue.duplicate": 0},
		"script": [{"point": "pipe.restart", "key": "o-1-1", "nth": 3}, {"point": "stream.pause"}], "until": "2026-11-23T18:00:00Z"}`)
	if err != nil {
		t.Fatal(err)
	}
	if p.Seed != 7 || p.Rates[BusPartial] != 0.5 || p.Script[0] != (Step{PipeRestart, "o-1-1", 3}) || p.Script[1] != (Step{Point: StreamPause}) ||
		!p.Until.Equal(time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v", p)
	}
	p, err = load(t, `{"seed": 1, "until": ""}`)
	if err != nil || !p.Until.IsZero() {
		t.Errorf("a plan without an end: %+v, %v", p, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		plan string
		want []string
	}{
		"unknown points":     {`{"rates": {"bus.partail": 1}, "script": [{"point": "pipe"}]}`, []string{`unknown point "bus.partail"`, `unknown point "pipe"`, pointList()}},
		"rates out of range": {`{"rates": {"bus.partial": 1.5, "bus.duplicate": -1}}`, []string{"the rate of bus.duplicate must be a number from 0 to 1, got -1", "bus.partial must be a number from 0 to 1, got 1.5"}},
		"a negative nth":     {`{"script": [{"point": "pipe.restart", "nth": -1}]}`, []string{"pipe.restart must be 1 or more, got -1"}},
		"unknown fields":     {`{"rate": {}}`, []string{`unknown field "rate"`}},
		"a time":             {`{"until": "tomorrow"}`, []string{`until must be a time stamp as in RFC 3339 or an empty string, got "tomorrow"`}},
		"two plans":          {`{} {}`, []string{"exactly one plan"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.plan)
			if err == nil {
				t.Fatal("the plan was accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
	if _, err := Load("nowhere.json"); err == nil || !strings.Contains(err.Error(), "nowhere.json") {
		t.Errorf("a missing file: %v", err)
	}
}

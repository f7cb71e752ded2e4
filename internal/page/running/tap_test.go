package running

import (
	"bytes"
	"maps"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// TestATapCounts what moves, each message of a batch by its own outcome, and passes everything on.
func TestATapCounts(t *testing.T) {
	var out bytes.Buffer
	tap := NewTap(console.JSON(&out))
	hops := []hop.Hop{
		{Stage: hop.API, Resource: "Post", Outcome: hop.OK, Count: 1},
		{Stage: hop.Bus, Resource: "Rule", Target: "Queue", Outcome: hop.OK, Count: 1},
		{Stage: hop.Bus, Resource: "Rule", Target: "Queue", Outcome: hop.OK, Count: 2},
		{Stage: hop.Queue, Resource: "Mapping", Target: "Fn", Outcome: hop.Retry, Count: 5, FailedIDs: []string{"a", "b"}},
		{Stage: hop.Queue, Resource: "Mapping", Target: "Fn", Outcome: hop.Retry, Count: 5},
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.Retry},
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.OK, Count: 1, Heartbeat: true},
		{Stage: hop.Schedule, Resource: "Schedule", Outcome: hop.OK, Count: 1},
		{Stage: hop.Function, Resource: "Fn", Outcome: hop.OK, Detail: "a line"},
		{Stage: hop.Effect, Resource: "Fn", Outcome: hop.OK, Count: 1, Detail: "PutItem Orders"},
		{Stage: hop.Platform, Resource: "Fn", Outcome: hop.OK, Detail: "START"},
	}
	for _, h := range hops {
		tap.Hop(h)
	}
	want := map[way]int{
		{"Post", "", "", hop.OK}: 1, {"Rule", "", "Queue", hop.OK}: 3,
		{"Mapping", "", "Fn", hop.OK}: 3, {"Mapping", "", "Fn", hop.Retry}: 7, {"Pipe", "", "", hop.Retry}: 1,
	}
	if got := tap.snapshot(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != len(hops) {
		t.Errorf("%d lines were passed on, want %d", n, len(hops))
	}
}

// An updater is a console that knows which stacks run.
type updater struct {
	console.Console
	stack string
}

func (u *updater) Ready(s console.Summary)   { u.stack = s.Stack }
func (u *updater) Updated(s console.Summary) { u.stack = s.Stack }

// TestATapKnowsWhatRuns after the start and after an update, and passes both on.
func TestATapKnowsWhatRuns(t *testing.T) {
	out := &updater{}
	tap := NewTap(out)
	for updates, tell := range []func(console.Summary){tap.Ready, tap.Updated, tap.Updated} {
		stack := string(rune('A' + updates))
		tell(console.Summary{Stack: stack})
		if s, n := tap.running(); s.Stack != stack || n != updates || out.stack != stack {
			t.Errorf("%s runs after %d updates, and the console has %s; want %s after %d", s.Stack, n, out.stack, stack, updates)
		}
	}
}

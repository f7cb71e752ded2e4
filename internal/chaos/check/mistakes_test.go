package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// missed is the effect that the histories of this file lack.
var missed = history.Named{Consumer: "mail", Event: "s-1"}

// mistaken is a history in which mail has not handled s-1: after a mistake, an audit that named some effects, and, where it
// is repaired, with the effect in the last state.
func mistaken(before func(*history.Log), named []history.Named, repaired bool) []history.Entry {
	var whole history.State
	entries := small(func(log *history.Log, s *history.State) {
		before(log)
		whole = *s
		s.Effects = s.Effects[:2]
	})
	lacking := history.Final(entries)
	var log history.Log
	for _, e := range entries {
		log.Add(e)
	}
	log.Audit(history.Audit{By: "the auditor", Named: named})
	log.Phase(history.Phase{Name: history.Audited})
	log.State(lacking)
	if !repaired {
		whole = lacking
	}
	log.Phase(history.Phase{Name: history.Repaired})
	log.State(whole)
	return log.Entries()
}

// made notes a mistake, and that it is over.
func made(log *history.Log, kind, consumer string, events ...string) {
	log.Mistake(history.Mistake{Kind: kind, Consumer: consumer})
	log.Mistake(history.Mistake{Kind: kind, Consumer: consumer, Over: true, Events: events})
}

// queued is a hop of a rule that put s-1 into the queue of mail.
var queued = hop.Hop{At: at, Stage: hop.Bus, Resource: "OutboxmailRule1", Outcome: hop.OK, EventIDs: []string{"s-1"}}

// purge notes that s-1 was in the queue of mail, and that the queue of a consumer was purged.
func purge(log *history.Log, consumer string) {
	log.Hop(queued)
	made(log, check.QueuePurged, consumer)
}

func TestMistakes(t *testing.T) {
	purged := func(log *history.Log) { purge(log, "mail") }
	for name, tc := range map[string]struct {
		before   func(*history.Log)
		named    []history.Named
		repaired bool
		want     []check.Rule
	}{
		"found and repaired":                    {purged, []history.Named{missed}, true, nil},
		"no mistake accounts for it":            {func(*history.Log) {}, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"a purge before it came":                {func(log *history.Log) { made(log, check.QueuePurged, "mail") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"a mistake with another consumer":       {func(log *history.Log) { purge(log, "audit") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"a mistake that costs nothing":          {func(log *history.Log) { made(log, check.MappingDisabled, "mail") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"not repaired":                          {purged, []history.Named{missed}, false, []check.Rule{check.Lost}},
		"not named":                             {purged, nil, true, []check.Rule{check.Unnamed}},
		"named for another consumer":            {purged, []history.Named{missed, {Consumer: "mail", Event: "o-1"}}, true, []check.Rule{check.Misnamed}},
		"the pipe was stopped":                  {func(log *history.Log) { made(log, check.PipeStopped, "") }, []history.Named{missed}, true, nil},
		"the pipe was stopped after it":         {func(log *history.Log) { log.Hop(published("s-1")); made(log, check.PipeStopped, "") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"the filter was broken":                 {func(log *history.Log) { made(log, check.FilterBroken, "") }, []history.Named{missed}, true, nil},
		"the rule was disabled":                 {func(log *history.Log) { made(log, check.RuleDisabled, "mail") }, []history.Named{missed}, true, nil},
		"the rule was disabled after it":        {func(log *history.Log) { log.Hop(queued); made(log, check.RuleDisabled, "mail") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"its dead-letter message was deleted":   {func(log *history.Log) { made(log, check.DeadLettersEmptied, "mail", "s-1") }, []history.Named{missed}, true, nil},
		"other dead-letter messages were":       {func(log *history.Log) { made(log, check.DeadLettersEmptied, "mail", "o-1") }, []history.Named{missed}, true, []check.Rule{check.Lost}},
		"a mistake is still going on":           {func(log *history.Log) { log.Mistake(history.Mistake{Kind: check.RuleDisabled, Consumer: "mail"}) }, []history.Named{missed}, true, nil},
		"the mistake was over before the write": {func(log *history.Log) { earlier(log, check.PipeStopped) }, []history.Named{missed}, true, []check.Rule{check.Lost}},
	} {
		t.Run(name, func(t *testing.T) {
			entries := mistaken(tc.before, tc.named, tc.repaired)
			if name == "the mistake was over before the write" {
				entries = writtenNow(entries)
			}
			got := check.Judge(entries, rules)
			var found []check.Rule
			for _, v := range got.Violations {
				if !slices.Contains(found, v.Rule) {
					found = append(found, v.Rule)
				}
			}
			if !slices.Equal(found, tc.want) {
				t.Errorf("rules breached: %v, want %v\n%s", found, tc.want, list(got.Violations))
			}
			if len(tc.want) == 0 && got.Counts.Missed != 1 {
				t.Errorf("counts are %+v, want one missed effect", got.Counts)
			}
		})
	}
}

// earlier notes a mistake of long ago.
func earlier(log *history.Log, kind string) {
	log.Add(history.Entry{Kind: history.KindMistake, At: at, Mistake: &history.Mistake{Kind: kind}})
	log.Add(history.Entry{Kind: history.KindMistake, At: at.Add(time.Second), Mistake: &history.Mistake{Kind: kind, Over: true}})
}

// writtenNow gives all events a time after every earlier mistake.
func writtenNow(entries []history.Entry) []history.Entry {
	for i := range entries {
		if entries[i].Kind == history.KindEvent {
			event := *entries[i].Event
			event.Written = at.Add(time.Hour)
			entries[i].Event = &event
		}
	}
	return entries
}

// What comes between the state before an audit and the one after it may be named or not.
func TestAnAuditMayBeOvertaken(t *testing.T) {
	for _, named := range [][]history.Named{nil, {missed}} {
		var whole history.State
		entries := small(func(log *history.Log, s *history.State) {
			purge(log, "mail")
			whole = *s
			s.Effects = s.Effects[:2]
		})
		var log history.Log
		for _, e := range entries {
			log.Add(e)
		}
		log.Audit(history.Audit{By: "the auditor", Named: named})
		log.Phase(history.Phase{Name: history.Audited})
		log.State(whole)
		if got := check.Judge(log.Entries(), rules); len(got.Violations) > 0 {
			t.Errorf("named %v: %s", named, list(got.Violations))
		}
	}
}

// A run with mistakes must come to its audit and its repair, and make every mistake.
func TestARunWithMistakesMustEndWithARepair(t *testing.T) {
	with := rules
	with.Mistakes = []string{check.QueuePurged, check.RuleDisabled}
	complete := mistaken(func(log *history.Log) {
		purge(log, "mail")
		made(log, check.RuleDisabled, "audit")
	}, []history.Named{missed}, true)
	with.Enabled = nil
	if got := check.Judge(complete, with); len(got.Violations) > 0 {
		t.Errorf("a complete run: %s", list(got.Violations))
	}
	if got := check.Judge(mistaken(func(log *history.Log) { purge(log, "mail") }, []history.Named{missed}, true), with); !has(got.Violations, check.NotFired) {
		t.Errorf("a mistake was not made: %s", list(got.Violations))
	}
	unaudited := small(func(log *history.Log, _ *history.State) {
		purge(log, "mail")
		made(log, check.RuleDisabled, "audit")
	})
	if got := check.Judge(unaudited, with); !has(got.Violations, check.Unfinished) {
		t.Errorf("nothing was audited: %s", list(got.Violations))
	}
}

package check

import (
	"iter"
	"maps"
	"slices"
	"sort"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

// Shortest is the shortest prefix of the history that, with the part of the final state that belongs to
// it, shows a violation; and the violations it shows. It is empty when there is none, or none that is
// about a write.
//
// To a prefix belongs what was asked for in it: of each aggregate the versions up to the last one. A
// request that is answered later counts as unknown. So a longer prefix shows at least as much.
func Shortest(entries []history.Entry, rules Rules) ([]history.Entry, []Violation) {
	rules.Enabled, rules.Mistakes = nil, nil
	shows := func(n int) []Violation { return Judge(within(entries, n), rules).Violations }
	n := sort.Search(len(entries), func(n int) bool { return len(shows(n)) > 0 })
	if n == len(entries) && len(shows(n)) == 0 {
		return nil, nil
	}
	return entries[:n], shows(n)
}

// within returns the history as it would be if the clients had stopped behind line n: its first n lines, with
// what belongs to them of the states and of what led there.
func within(entries []history.Entry, n int) []history.Entry {
	finished := lastCalls(entries)
	reached := map[string]int64{} // by aggregate: the highest version asked for within n
	ever := map[string]bool{}     // aggregates that anyone asked for, in the whole history
	for i, e := range entries {
		if e.Kind == history.KindCall {
			ever[e.Call.Write.Aggregate] = true
			if i < n {
				reached[e.Call.Write.Aggregate] = max(reached[e.Call.Write.Aggregate], e.Call.Write.Version)
			}
		}
	}
	keep := func(aggregate string, version int64) bool { return !ever[aggregate] || version <= reached[aggregate] }
	roots := rootsOf(entries)
	keepEvent := func(id string) bool {
		root, known := roots[id]
		return !known || keep(root.Aggregate, root.Version)
	}
	var kept []history.Entry
	for i, e := range entries {
		switch e.Kind {
		case history.KindCall:
			if i >= n {
				continue
			}
			// A failure counts once nothing more was tried.
			if e.Call.Step == history.Fail && finished[e.Call.Operation] >= n {
				call := *e.Call
				call.Step = history.Unknown
				e.Call = &call
			}
		case history.KindEvent:
			if !keepEvent(e.Event.ID) {
				continue
			}
		case history.KindObject:
			if !keep(e.Object.Aggregate, 1) {
				continue
			}
			object := *e.Object
			if ever[object.Aggregate] {
				object.Version = min(object.Version, reached[object.Aggregate])
			}
			e.Object = &object
		case history.KindEffect:
			if !keepEvent(e.Effect.Event) {
				continue
			}
		case history.KindDeadLetter:
			if !slices.ContainsFunc(e.DeadLetter.Events, keepEvent) && len(e.DeadLetter.Events) > 0 {
				continue
			}
		case history.KindAudit:
			audit := *e.Audit
			audit.Named = slices.DeleteFunc(slices.Clone(audit.Named), func(n history.Named) bool { return !keepEvent(n.Event) })
			e.Audit = &audit
		case history.KindDenial:
			continue // about no write
		case history.KindHop, history.KindFault, history.KindPhase, history.KindMistake:
		}
		kept = append(kept, e)
	}
	return kept
}

// lastCalls returns the indices of the last line of each operation.
func lastCalls(entries []history.Entry) map[string]int {
	last := map[string]int{}
	for i, e := range entries {
		if e.Kind == history.KindCall {
			last[e.Call.Operation] = i
		}
	}
	return last
}

// rootsOf returns the events that began the chain of each event.
func rootsOf(entries []history.Entry) map[string]history.Event {
	byID := map[string]history.Event{}
	for _, e := range entries {
		if e.Kind == history.KindEvent {
			byID[e.Event.ID] = *e.Event
		}
	}
	j := &judgement{byID: byID}
	j.Events = slices.Collect(maps.Values(byID))
	roots := map[string]history.Event{}
	for id, e := range byID {
		roots[id] = j.root(e)
	}
	return roots
}

// About keeps the lines that concern an aggregate: its requests, the hops of its events, the faults that
// hit it or everything, and the phases.
func About(entries []history.Entry, aggregate string) []history.Entry {
	ids := map[string]bool{}
	for id, root := range rootsOf(entries) {
		if root.Aggregate == aggregate {
			ids[id] = true
		}
	}
	var kept []history.Entry
	for _, e := range entries {
		if concerns(e, aggregate, ids) {
			kept = append(kept, e)
		}
	}
	return kept
}

func concerns(e history.Entry, aggregate string, ids map[string]bool) bool {
	switch e.Kind {
	case history.KindCall:
		return e.Call.Write.Aggregate == aggregate
	case history.KindHop:
		return slices.ContainsFunc(e.Hop.EventIDs, func(id string) bool { return ids[id] })
	case history.KindFault:
		return e.Fault.Key == "" || slices.ContainsFunc(e.Fault.Events, func(id string) bool { return ids[id] })
	case history.KindPhase, history.KindMistake:
		return true
	case history.KindDenial:
		return false
	case history.KindAudit:
		return slices.ContainsFunc(e.Audit.Named, func(n history.Named) bool { return ids[n.Event] })
	case history.KindEvent:
		return ids[e.Event.ID]
	case history.KindObject:
		return e.Object.Aggregate == aggregate
	case history.KindEffect:
		return ids[e.Effect.Event]
	case history.KindDeadLetter:
		return slices.ContainsFunc(e.DeadLetter.Events, func(id string) bool { return ids[id] })
	}
	return false
}

func keys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

package check

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// The mistakes of operators.
const (
	PipeStopped        = "operator.pipe-stopped"         // the pipe was stopped until its records had left the stream
	FilterBroken       = "operator.filter-broken"        // the pipe's filter let nothing through for a while
	RuleDisabled       = "operator.rule-disabled"        // a consumer's rule was disabled for a while
	QueuePurged        = "operator.queue-purged"         // a consumer's queue was purged while its mapping was disabled
	MappingDisabled    = "operator.mapping-disabled"     // a consumer's event source mapping was disabled for a while, which costs nothing
	DeadLettersEmptied = "operator.dead-letters-emptied" // a consumer's dead-letter queue was emptied
)

// Mistakes are all of them.
var Mistakes = []string{PipeStopped, FilterBroken, RuleDisabled, QueuePurged, MappingDisabled, DeadLettersEmptied}

// costs are what operators' mistakes may have cost.
type costs struct {
	windows   []window
	published map[string]bool     // ids of events that the pipe has put on the bus
	queued    map[string][]string // by the id of an event: the rules that have put it into a queue
}

// A window is a mistake and the time in which it lasted.
type window struct {
	history.Mistake
	end time.Time // zero: it is not put right yet
}

// costsOf reads from a history what may be missing because of mistakes.
func costsOf(entries []history.Entry) *costs {
	c := &costs{published: map[string]bool{}, queued: map[string][]string{}}
	for _, e := range entries {
		switch {
		case e.Kind == history.KindMistake:
			c.mistake(e.At, *e.Mistake)
		case e.Kind == history.KindHop && e.Hop.Outcome == hop.OK:
			c.hop(*e.Hop)
		}
	}
	return c
}

func (c *costs) mistake(at time.Time, m history.Mistake) {
	if !m.Over {
		c.windows = append(c.windows, window{Mistake: m})
		return
	}
	for i := range c.windows {
		if w := &c.windows[i]; w.Kind == m.Kind && w.Consumer == m.Consumer && w.end.IsZero() {
			w.end, w.Events = at, append(w.Events, m.Events...)
		}
	}
}

func (c *costs) hop(h hop.Hop) {
	for _, id := range h.EventIDs {
		switch h.Stage {
		case hop.Pipe:
			c.published[id] = true
		case hop.Bus:
			c.queued[id] = append(c.queued[id], h.Resource)
		default: // neither says whether it is lost
		}
	}
}

// explain reports whether a mistake may be why a consumer has not handled an event.
func (c *costs) explain(consumer string, e history.Event) bool {
	return slices.ContainsFunc(c.windows, func(w window) bool {
		if w.Consumer != "" && w.Consumer != consumer || !w.end.IsZero() && e.Written.After(w.end) {
			return false
		}
		switch w.Kind {
		case PipeStopped, FilterBroken:
			return !c.published[e.ID]
		case RuleDisabled:
			return !c.wasQueued(consumer, e.ID)
		case QueuePurged:
			return c.wasQueued(consumer, e.ID)
		case DeadLettersEmptied:
			return slices.Contains(w.Events, e.ID)
		}
		return false
	})
}

// wasQueued reports whether the rule of a consumer, whose name holds the consumer's, has put the event into its queue.
func (c *costs) wasQueued(consumer, id string) bool {
	return slices.ContainsFunc(c.queued[id], func(rule string) bool { return strings.Contains(rule, consumer) })
}

// cost reports whether a mistake accounts for a missing effect: it hit the event, or one that an ordered consumer has to
// handle before.
func (j *judgement) cost(d due) bool {
	return j.costs != nil && slices.ContainsFunc(j.suspects(d.event, d.consumer), func(id string) bool {
		return j.costs.explain(d.consumer, j.byID[id])
	})
}

// emptied returns how many dead-letter messages an operator has deleted.
func emptied(entries []history.Entry) int {
	n := 0
	for _, e := range entries {
		if e.Kind == history.KindMistake && e.Mistake.Kind == DeadLettersEmptied && e.Mistake.Over {
			n += len(e.Mistake.Events)
		}
	}
	return n
}

// Unconfirmed returns what has no effect in a state, whatever the reason: what an audit has to name. free is what it may
// name besides: events that a consumer need not handle, because they are older than it.
func Unconfirmed(s history.State, consumers []Consumer) (owed, free map[history.Named]bool) {
	j := newJudgement(judged{State: s}, nil, Rules{Consumers: consumers})
	found := j.there()
	owed, free = map[history.Named]bool{}, map[history.Named]bool{}
	for _, e := range s.Events {
		for _, c := range consumers {
			for _, kind := range c.Effects[e.Type] {
				if found[due{c.Name, kind, e.ID}] > 0 {
					continue
				}
				if c.owes(e) {
					owed[history.Named{Consumer: c.Name, Event: e.ID}] = true
				} else {
					free[history.Named{Consumer: c.Name, Event: e.ID}] = true
				}
			}
		}
	}
	return owed, free
}

// misjudged compares audits with the states before and after them. Each must name what is missing all the time, and
// nothing that was there before.
func misjudged(entries []history.Entry, rules Rules) []Violation {
	var found []Violation
	for _, a := range auditsOf(entries) {
		before, free := Unconfirmed(a.before, rules.Consumers)
		after, _ := Unconfirmed(a.after, rules.Consumers)
		named := map[history.Named]bool{}
		for _, n := range a.Named {
			named[n] = true
			if !before[n] && !free[n] {
				found = append(found, Violation{
					Rule: Misnamed, Aggregate: a.aggregate(n.Event), Event: n.Event, Consumer: n.Consumer,
					Text: fmt.Sprintf("audit %q named event %s as missing at %s, which has handled it", a.By, n.Event, n.Consumer),
				})
			}
		}
		for _, e := range a.after.Events {
			for _, c := range rules.Consumers {
				n := history.Named{Consumer: c.Name, Event: e.ID}
				if after[n] && before[n] && !named[n] {
					found = append(found, Violation{
						Rule: Unnamed, Aggregate: e.Aggregate, Event: e.ID, Consumer: c.Name,
						Text: fmt.Sprintf("audit %q did not name event %s (%s, version %d of %s), which is missing at %s", a.By, e.ID, e.Type, e.Version, e.Aggregate, c.Name),
					})
				}
			}
		}
	}
	return found
}

// audited is an audit and the states around it.
type audited struct {
	history.Audit
	before, after history.State
}

func (a audited) aggregate(event string) string {
	for _, e := range a.before.Events {
		if e.ID == event {
			return e.Aggregate
		}
	}
	return ""
}

// auditsOf returns the audits of a history. One that no state follows is compared with the state before it alone.
func auditsOf(entries []history.Entry) []audited {
	var all []audited
	open := 0 // the first audit whose second state has not come
	for from, to := range sections(entries) {
		state := history.Final(entries[from:to])
		if entries[from].Phase.Name == history.Audited {
			for ; open < len(all); open++ {
				all[open].after = state
			}
		}
		for _, e := range entries[from:to] {
			if e.Kind == history.KindAudit {
				all = append(all, audited{*e.Audit, state, state})
			}
		}
	}
	return all
}

// sections returns from where to where the parts of a history go that begin with a state.
func sections(entries []history.Entry) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		from := -1
		for i, e := range entries {
			if e.Kind != history.KindPhase || !e.Phase.Name.HasState() {
				continue
			}
			if from >= 0 && !yield(from, i) {
				return
			}
			from = i
		}
		if from >= 0 {
			yield(from, len(entries))
		}
	}
}

// unaudited reports that a run with mistakes has not come to its end, and which mistakes were not made.
func unaudited(entries []history.Entry, mistakes []string) []Violation {
	if len(mistakes) == 0 {
		return nil
	}
	made, repaired := map[string]bool{}, false
	for _, e := range entries {
		switch {
		case e.Kind == history.KindMistake:
			made[e.Mistake.Kind] = true
		case e.Kind == history.KindPhase && e.Phase.Name == history.Repaired:
			repaired = true
		}
	}
	var found []Violation
	for _, m := range mistakes {
		if !made[m] {
			found = append(found, Violation{Rule: NotFired, Text: fmt.Sprintf("mistake %s was planned and not made", m)})
		}
	}
	if !repaired || len(auditsOf(entries)) == 0 {
		found = append(found, Violation{Rule: Unfinished, Text: "mistakes were made, and nothing was audited and repaired"})
	}
	return found
}

// Package check judges the history of a chaos run: whether everything that went in came out, once. It is
// pure: the same history always gets the same verdict, with nothing running.
//
// The model is Jepsen's total-queue checker, judged after the faults are healed and the system has
// drained, with effects in the place of messages taken from a queue.
package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

// Rules say what a topology owes for the writes it accepts.
type Rules struct {
	Consumers []Consumer
	// Enabled are the fault points of the plan. One that never fired fails the run: it has shown nothing.
	Enabled []string
	// Mistakes are the operators' mistakes of the plan. Each must have been made, and what they cost must have been named by
	// an audit and repaired.
	Mistakes []string
}

// Consumer is one consumer and what it owes.
type Consumer struct {
	Name string
	// Effects are, for each event type that it handles, the kinds of effect that each event has exactly
	// once. A kind that is the type of an event is that event, caused by the one handled.
	Effects map[string][]string
	// Ordered reports that its effects take place in the order of an aggregate's versions.
	Ordered bool
	// Since is when the consumer joined, zero where it was there from the beginning. What was written before may
	// have its effects, but need not.
	Since time.Time
}

// owes reports whether the consumer owes its effects of an event.
func (c Consumer) owes(e history.Event) bool { return !e.Written.Before(c.Since) }

// Verdict is what is to be said about a history.
type Verdict struct {
	Counts     Counts
	Violations []Violation // empty: the guarantee held
}

// Counts are taken after the last phase of the history, in Jepsen's words.
type Counts struct {
	Operations   int // what clients wanted to happen once
	Acknowledged int // of these
	Failed       int
	Unknown      int

	Effects     int // that are there and ought to be, each counted once
	Recovered   int // of these: for writes whose outcome the client never learnt
	Waiting     int // not there, but named in a dead-letter queue
	Missed      int // before the repair: not there because of an operator's mistake, and to be named by the audit
	Lost        int // owed, and not there
	Unexpected  int // there, and not owed
	Duplicated  int // there more than once; counts the surplus
	DeadLetters int // before the redrive
	Redriven    int // dead-letter messages that are gone after the redrive
}

// Violation is one breach of the guarantee.
type Violation struct {
	Rule      Rule
	Aggregate string // empty: it is not about one
	Event     string // the event's id, where there is one
	Consumer  string // of a missing effect
	Text      string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s", v.Rule, v.Text)
}

// Rule names what was breached.
type Rule string

// The rules.
const (
	Lost        Rule = "lost"         // an acknowledged write without its event, or an effect neither there nor in a dead-letter queue
	Unexpected  Rule = "unexpected"   // an event or effect of no committed write, or of one that failed
	Duplicated  Rule = "duplicated"   // an event or effect that is there twice
	Torn        Rule = "torn"         // a part of a write: the event without the aggregate's new version, or the other way round
	Order       Rule = "order"        // an ordered consumer's effects out of order
	Unexplained Rule = "unexplained"  // a dead-letter message that no fault accounts for
	NotRedriven Rule = "not redriven" // a dead-letter message that a redrive left behind
	Republished Rule = "republished"  // an event put on the bus again without a cause
	Unnamed     Rule = "unnamed"      // a missing effect that an audit did not name
	Misnamed    Rule = "misnamed"     // an effect that an audit named as missing, and that is there
	NotFired    Rule = "not fired"    // an enabled fault that never fired, or a mistake that was not made
	Unfinished  Rule = "unfinished"   // a run that was not judged in the end
	Denied      Rule = "denied"       // something that the template's policies do not allow and that was asked for
)

// Judge judges a history.
func Judge(entries []history.Entry, rules Rules) Verdict {
	operations := operationsOf(entries)
	var verdict Verdict
	verdict.Counts.count(operations)
	states := statesOf(entries)
	if len(states) == 0 {
		verdict.add(Violation{Rule: Unfinished, Text: "the history has no state after a drain"})
	}
	costs := costsOf(entries)
	for _, s := range states {
		j := newJudgement(s, operations, rules)
		if s.phase != history.Repaired {
			j.costs = costs
		}
		j.writes()
		j.events()
		j.effects()
		j.order()
		if s.phase == history.Drained {
			j.explain(entries)
			j.Counts.DeadLetters = len(s.DeadLetters)
		} else {
			j.redriven()
			j.Counts.DeadLetters = verdict.Counts.DeadLetters
			j.Counts.Redriven = max(0, verdict.Counts.DeadLetters-len(s.DeadLetters)-emptied(entries))
			j.Counts.Missed = max(j.Counts.Missed, verdict.Counts.Missed)
		}
		verdict.merge(j.Verdict)
	}
	verdict.add(republished(entries)...)
	verdict.add(misjudged(entries, rules)...)
	verdict.add(denials(entries)...)
	if len(verdict.Violations) == 0 {
		verdict.add(unaudited(entries, rules.Mistakes)...)
	}
	verdict.add(NeverFired(entries, rules.Enabled)...)
	return verdict
}

// merge takes the counts of the later state, and the violations of both without repeating one.
func (v *Verdict) merge(later Verdict) {
	operations := v.Counts
	v.Counts = later.Counts
	v.Counts.Operations, v.Counts.Acknowledged = operations.Operations, operations.Acknowledged
	v.Counts.Failed, v.Counts.Unknown = operations.Failed, operations.Unknown
	v.add(later.Violations...)
}

func (v *Verdict) add(violations ...Violation) {
	for _, one := range violations {
		if !slices.Contains(v.Violations, one) {
			v.Violations = append(v.Violations, one)
		}
	}
}

// judged is a state of the history and the phase it follows.
type judged struct {
	history.State
	phase history.PhaseName
}

// statesOf returns the states that are judged: that after an audit is one of these once more.
func statesOf(entries []history.Entry) []judged {
	var states []judged
	for from, to := range sections(entries) {
		if phase := entries[from].Phase.Name; phase != history.Audited {
			states = append(states, judged{history.Final(entries[from:to]), phase})
		}
	}
	return states
}

// NeverFired is everything about the enabled faults of which the history has none.
func NeverFired(entries []history.Entry, enabled []string) []Violation {
	fired := map[string]bool{}
	for _, e := range entries {
		if e.Kind == history.KindFault {
			fired[e.Fault.Point] = true
		}
	}
	var missing []Violation
	for _, point := range enabled {
		if !fired[point] {
			missing = append(missing, Violation{Rule: NotFired, Text: fmt.Sprintf("fault %s was enabled and never fired", point)})
		}
	}
	return missing
}

// denials returns each thing that was denied, once: a run that is started again says it again. No fault of a plan denies
// anything through a policy, so a statement is missing.
func denials(entries []history.Entry) []Violation {
	var denied []Violation
	for _, e := range entries {
		if e.Kind != history.KindDenial {
			continue
		}
		v := Violation{Rule: Denied, Text: e.Denial.Text}
		if !slices.Contains(denied, v) {
			denied = append(denied, v)
		}
	}
	return denied
}

// judgement judges one state.
type judgement struct {
	Verdict
	judged
	operations []*operation
	rules      Rules
	byID       map[string]history.Event
	costs      *costs // of operators' mistakes; nil: none is forgiven
}

func newJudgement(s judged, operations []*operation, rules Rules) *judgement {
	j := &judgement{judged: s, operations: operations, rules: rules, byID: map[string]history.Event{}}
	for _, e := range s.Events {
		j.byID[e.ID] = e
	}
	return j
}

func (j *judgement) violate(rule Rule, aggregate, event, format string, args ...any) {
	switch rule {
	case Lost:
		j.Counts.Lost++
	case Unexpected:
		j.Counts.Unexpected++
	case Duplicated:
		j.Counts.Duplicated++
	case Torn, Order, Unexplained, NotRedriven, Republished, Unnamed, Misnamed, NotFired, Unfinished, Denied:
	}
	j.add(Violation{Rule: rule, Aggregate: aggregate, Event: event, Text: fmt.Sprintf(format, args...)})
}

// sorted are the keys of a map in order, so that a verdict is the same every time.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

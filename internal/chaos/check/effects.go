package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

// due is one effect that ought to be there once.
type due struct{ consumer, kind, event string }

// events judges the events that consumers appended: each has a cause, and the cause's consumer appends it.
func (j *judgement) events() {
	for _, e := range j.Events {
		if e.Cause == "" {
			continue
		}
		cause, known := j.byID[e.Cause]
		if !known || j.appender(cause.Type, e.Type) == "" {
			j.violate(Unexpected, e.Aggregate, e.ID, "event %s (%s) says that it was caused by %q, which does not cause one", e.ID, e.Type, e.Cause)
		}
	}
}

// appender returns the consumer that appends events of one type when it handles one of another, or empty.
func (j *judgement) appender(cause, appended string) string {
	for _, c := range j.rules.Consumers {
		if slices.Contains(c.Effects[cause], appended) {
			return c.Name
		}
	}
	return ""
}

// there counts the effects that are in the tables.
func (j *judgement) there() map[due]int {
	found := map[due]int{}
	for _, e := range j.Effects {
		found[due{e.Consumer, e.Kind, e.Event}]++
	}
	for _, e := range j.Events {
		if cause, known := j.byID[e.Cause]; known {
			if by := j.appender(cause.Type, e.Type); by != "" {
				found[due{by, e.Type, e.Cause}]++
			}
		}
	}
	return found
}

// effects judges what the consumers did: once for each committed event they handle, and nothing else.
func (j *judgement) effects() {
	found := j.there()
	recovered := j.recovered()
	for _, e := range j.Events {
		for _, c := range j.rules.Consumers {
			for _, kind := range c.Effects[e.Type] {
				d := due{c.Name, kind, e.ID}
				if found[d] > 0 || c.owes(e) {
					j.effect(e, d, found[d], recovered[e.ID])
				}
				delete(found, d)
			}
		}
	}
	for _, d := range slices.SortedFunc(keys(found), func(a, b due) int {
		return cmp.Or(cmp.Compare(a.consumer, b.consumer), cmp.Compare(a.kind, b.kind), cmp.Compare(a.event, b.event))
	}) {
		j.violate(Unexpected, j.byID[d.event].Aggregate, d.event, "%s has a %s of event %s, which it does not owe", d.consumer, d.kind, d.event)
	}
}

func (j *judgement) effect(e history.Event, d due, times int, recovered bool) {
	switch {
	case times > 0:
		j.Counts.Effects++
		if recovered {
			j.Counts.Recovered++
		}
		for range times - 1 {
			j.violate(Duplicated, e.Aggregate, e.ID, "%s has %d times a %s of event %s", d.consumer, times, d.kind, e.ID)
		}
	case j.waits(d):
		j.Counts.Waiting++
	case j.cost(d):
		j.Counts.Missed++
	default:
		j.lost(e, d.consumer, "%s has no %s of event %s (%s, version %d of %s), and no dead-letter queue names the event",
			d.consumer, d.kind, e.ID, e.Type, e.Version, e.Aggregate)
	}
}

// lost notes that a consumer's effect is missing.
func (j *judgement) lost(e history.Event, consumer, format string, args ...any) {
	j.Counts.Lost++
	j.add(Violation{Rule: Lost, Aggregate: e.Aggregate, Event: e.ID, Consumer: consumer, Text: fmt.Sprintf(format, args...)})
}

// waits reports whether a dead-letter queue names the event for the consumer, or one that an ordered consumer
// has to handle before: then the event goes on coming back until its predecessor was redriven.
func (j *judgement) waits(d due) bool {
	return slices.ContainsFunc(j.suspects(d.event, d.consumer), func(id string) bool {
		return slices.ContainsFunc(j.DeadLetters, func(l history.DeadLetter) bool {
			return (l.Consumer == "" || l.Consumer == d.consumer) && slices.Contains(l.Events, id)
		})
	})
}

// recovered returns the ids of events whose write was never acknowledged.
func (j *judgement) recovered() map[string]bool {
	acknowledged := map[slot]bool{}
	for _, op := range j.operations {
		if op.outcome == history.OK {
			acknowledged[slot{op.write.Aggregate, op.write.Version}] = true
		}
	}
	ids := map[string]bool{}
	for _, e := range j.Events {
		root := j.root(e)
		ids[e.ID] = !acknowledged[slot{root.Aggregate, root.Version}]
	}
	return ids
}

// root returns the event that began the chain.
func (j *judgement) root(e history.Event) history.Event {
	for range j.Events { // a chain is not longer than all events; a circle ends here
		cause, known := j.byID[e.Cause]
		if !known {
			break
		}
		e = cause
	}
	return e
}

// order judges ordered consumers: in the order in which the effects took place, versions only grow, and
// none is done before those below it.
func (j *judgement) order() {
	for _, c := range j.rules.Consumers {
		if !c.Ordered {
			continue
		}
		byAggregate := map[string][]history.Effect{}
		for _, e := range j.Effects {
			if e.Consumer == c.Name {
				byAggregate[e.Aggregate] = append(byAggregate[e.Aggregate], e)
			}
		}
		for _, aggregate := range sorted(byAggregate) {
			effects := byAggregate[aggregate]
			slices.SortStableFunc(effects, func(a, b history.Effect) int { return cmp.Compare(a.Position, b.Position) })
			j.ascending(c, aggregate, effects)
		}
	}
}

func (j *judgement) ascending(c Consumer, aggregate string, effects []history.Effect) {
	done := map[int64]bool{}
	for i, e := range effects {
		if i > 0 && e.Version <= effects[i-1].Version {
			j.violate(Order, aggregate, e.Event, "%s did version %d of %s after version %d", c.Name, e.Version, aggregate, effects[i-1].Version)
		}
		done[e.Version] = true
	}
	last := effects[len(effects)-1].Version
	for _, e := range j.Events {
		if e.Aggregate == aggregate && e.Version < last && len(c.Effects[e.Type]) > 0 && c.owes(e) && !done[e.Version] {
			j.violate(Order, aggregate, e.ID, "%s did version %d of %s without version %d", c.Name, last, aggregate, e.Version)
		}
	}
}

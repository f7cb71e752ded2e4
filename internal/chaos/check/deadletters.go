package check

import (
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

// The faults of the driver: they hit everything at once, not one event.
const (
	KillRun    = "run.kill"    // kill -9 of the local run
	KillTables = "tables.kill" // kill -9 of DynamoDB Local
)

// accountable are the faults, by what their names begin with, that can bring a message into a dead-letter
// queue of each kind. A kill costs a message one of the times that it may be received, and a run has fewer
// kills than that: it does not account for a message.
var accountable = map[history.QueueKind][]string{
	history.PipeQueue:     {"stream.", "pipe.", "bus."},
	history.RuleQueue:     {"bus.", "queue."},
	history.ConsumerQueue: {"function.", "queue.", "dynamodb.", "bus.duplicate"},
}

// explain finds dead-letter messages that no fault accounts for. A fault accounts for a message when it is of a kind
// that leads to that queue, and hit one of the message's events, or an event that was on its way in the
// same batch, or an earlier event that the ordered consumer had to wait for.
func (j *judgement) explain(entries []history.Entry) {
	if len(j.DeadLetters) == 0 {
		return
	}
	hit := hits(entries)
	together := companions(entries)
	for _, l := range j.DeadLetters {
		if len(l.Events) == 0 {
			j.violate(Unexplained, "", "", "a message in %s names no event: %s", l.Name, l.Reason)
			continue
		}
		suspects := map[string]bool{}
		for _, id := range l.Events {
			for _, s := range j.suspects(id, l.Consumer) {
				suspects[s] = true
				maps.Copy(suspects, together[s])
			}
		}
		if !accounts(l.Queue, hit, suspects) {
			j.violate(Unexplained, j.byID[l.Events[0]].Aggregate, l.Events[0], "no fault accounts for the message of event %s in %s: %s",
				strings.Join(l.Events, ", "), l.Name, l.Reason)
		}
	}
}

// suspects returns the event and, where its consumer keeps the order, the earlier ones of its aggregate.
func (j *judgement) suspects(id, consumer string) []string {
	all := []string{id}
	ordered := slices.ContainsFunc(j.rules.Consumers, func(c Consumer) bool { return c.Name == consumer && c.Ordered })
	event, known := j.byID[id]
	if !ordered || !known {
		return all
	}
	for _, e := range j.Events {
		if e.Aggregate == event.Aggregate && e.Version < event.Version {
			all = append(all, e.ID)
		}
	}
	return all
}

// accounts reports whether a fault that leads to that kind of queue hit one of the suspects.
func accounts(queue history.QueueKind, hit map[string][]string, suspects map[string]bool) bool {
	for id := range suspects {
		for _, point := range hit[id] {
			if slices.ContainsFunc(accountable[queue], func(prefix string) bool { return strings.HasPrefix(point, prefix) }) {
				return true
			}
		}
	}
	return false
}

// hits returns the faults by the ids of the events that they hit.
func hits(entries []history.Entry) map[string][]string {
	hit := map[string][]string{}
	for _, e := range entries {
		if e.Kind != history.KindFault {
			continue
		}
		for _, id := range e.Fault.Events {
			hit[id] = append(hit[id], e.Fault.Point)
		}
	}
	return hit
}

// companions are, for each event, the events that shared one of its batches that did not go through: a
// fault that hit one of them hit all.
func companions(entries []history.Entry) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, e := range entries {
		if e.Kind != history.KindHop || e.Hop.Outcome == "ok" || len(e.Hop.EventIDs) < 2 {
			continue
		}
		for _, id := range e.Hop.EventIDs {
			if all[id] == nil {
				all[id] = map[string]bool{}
			}
			for _, other := range e.Hop.EventIDs {
				all[id][other] = true
			}
		}
	}
	return all
}

// redriven finds messages that a redrive left behind.
func (j *judgement) redriven() {
	for _, l := range j.DeadLetters {
		aggregate, event := "", ""
		if len(l.Events) > 0 {
			event = l.Events[0]
			aggregate = j.byID[event].Aggregate
		}
		j.violate(NotRedriven, aggregate, event, "a message of event %s is still in %s after the redrive: %s", event, l.Name, l.Reason)
	}
}

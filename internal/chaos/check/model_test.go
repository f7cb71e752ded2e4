package check_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// rules of the model: shipping ships an order once and appends an event, mail writes to the customer
// about both, audit follows the changes of an order in their order.
var rules = check.Rules{
	Consumers: []check.Consumer{
		{Name: "shipping", Effects: map[string][]string{"OrderCreated": {"shipment", "ShipmentRequested"}}},
		{Name: "mail", Effects: map[string][]string{"OrderCreated": {"note"}, "ShipmentRequested": {"note"}}},
		{Name: "audit", Effects: map[string][]string{"OrderUpdated": {"entry"}}, Ordered: true},
	},
	Enabled: []string{"function.kill-before"},
}

// world generates a legal history: what clients ask for and learn, what is committed, and what follows
// from it, some of it waiting in dead-letter queues until the redrive.
type world struct {
	t       *rapid.T
	log     history.Log
	state   history.State // as it is when nothing is in a dead-letter queue
	missing []history.DeadLetter
	orders  int
}

func generate(t *rapid.T) *world {
	w := &world{t: t}
	w.log.Phase(history.Phase{Name: history.Started})
	w.log.Fault(at, history.Fault{Point: "function.kill-before", Key: "order-0-1"})
	w.orders = rapid.IntRange(1, 5).Draw(t, "orders")
	for n := range w.orders {
		w.order(fmt.Sprintf("order-%d", n))
	}
	w.log.Phase(history.Phase{Name: history.Healed})
	w.log.Phase(history.Phase{Name: history.Drained})
	w.log.State(w.drained())
	w.log.Phase(history.Phase{Name: history.Redriven})
	w.log.State(w.state)
	return w
}

// order writes one order and some of its changes. It stops at the first write that was not committed.
func (w *world) order(id string) {
	aggregate := "Order#" + id
	last := rapid.Int64Range(1, 3).Draw(w.t, "versions")
	for v := int64(1); v <= last; v++ {
		write := history.Write{Aggregate: aggregate, Version: v, Type: "OrderUpdated"}
		if v == 1 {
			write.Type = "OrderCreated"
		}
		if !w.write(write) {
			return
		}
		w.commit(fmt.Sprintf("%s-%d", id, v), write)
	}
}

// write makes the requests of one operation and reports whether they committed it.
func (w *world) write(write history.Write) (committed bool) {
	name := fmt.Sprintf("%s v%d", write.Aggregate, write.Version)
	call := func(step history.Step) { w.log.Call(history.Call{Operation: name, Step: step, Write: write}) }
	for range rapid.IntRange(0, 2).Draw(w.t, "unanswered tries") {
		call(history.Invoke)
		call(history.Unknown)
		committed = committed || rapid.Bool().Draw(w.t, "committed all the same")
	}
	switch rapid.IntRange(0, 3).Draw(w.t, "end") {
	case 0: // the client gives up
		call(history.Invoke)
		return committed || rapid.Bool().Draw(w.t, "committed in the end")
	case 1: // refused, because it is there already or because it must not be
		call(history.Invoke)
		call(history.Fail)
		return committed
	}
	call(history.Invoke)
	call(history.OK)
	return true
}

// commit makes the event, and all that follows from it.
func (w *world) commit(id string, write history.Write) {
	w.event(history.Event{ID: id, Type: write.Type, Aggregate: write.Aggregate, Version: write.Version})
	w.state.Objects = slices.DeleteFunc(w.state.Objects, func(o history.Object) bool { return o.Aggregate == write.Aggregate })
	w.state.Objects = append(w.state.Objects, history.Object{Aggregate: write.Aggregate, Version: write.Version})
}

func (w *world) event(e history.Event) {
	w.state.Events = append(w.state.Events, e)
	for _, c := range rules.Consumers {
		for _, kind := range c.Effects[e.Type] {
			if kind == "ShipmentRequested" {
				w.event(history.Event{ID: e.ID + "-s", Type: kind, Aggregate: "Shipment#" + e.ID, Version: 1, Cause: e.ID})
				continue
			}
			effect := history.Effect{Consumer: c.Name, Kind: kind, Event: e.ID}
			if c.Ordered {
				effect.Aggregate, effect.Position, effect.Version = e.Aggregate, e.Version-1, e.Version
			}
			w.state.Effects = append(w.state.Effects, effect)
		}
		if c.Name == "mail" && len(c.Effects[e.Type]) > 0 && rapid.IntRange(0, 5).Draw(w.t, "dead-letter message") == 0 {
			w.log.Fault(at, history.Fault{Point: "function.kill-before", Events: []string{e.ID}})
			w.missing = append(w.missing, history.DeadLetter{Queue: history.ConsumerQueue, Name: "mail-dlq", Consumer: c.Name, Events: []string{e.ID}})
		}
	}
}

// drained is the state before the redrive: some messages wait, and their effects are not there yet, or
// are there because only the answer got lost.
func (w *world) drained() history.State {
	s := w.state
	s.Effects = slices.Clone(s.Effects)
	for _, l := range w.missing {
		if rapid.Bool().Draw(w.t, "had its effect") {
			continue
		}
		s.Effects = slices.DeleteFunc(s.Effects, func(e history.Effect) bool { return e.Consumer == l.Consumer && e.Event == l.Events[0] })
	}
	s.DeadLetters = w.missing
	return s
}

// spoil copies the history with one thing changed in every state of it.
func spoil(entries []history.Entry, change func(*history.State)) []history.Entry {
	var log history.Log
	from := -1
	flush := func(to int) {
		if from < 0 {
			return
		}
		s := history.Final(entries[from:to])
		change(&s)
		log.State(s)
	}
	for i, e := range entries {
		switch e.Kind {
		case history.KindPhase:
			flush(i)
			from = -1
			log.Phase(*e.Phase)
			if e.Phase.Name.HasState() {
				from = i
			}
		case history.KindCall:
			log.Call(*e.Call)
		case history.KindFault:
			log.Fault(e.At, *e.Fault)
		case history.KindHop:
			log.Hop(*e.Hop)
		case history.KindMistake, history.KindAudit, history.KindDenial:
			log.Add(e)
		case history.KindEvent, history.KindObject, history.KindEffect, history.KindDeadLetter:
		}
	}
	flush(len(entries))
	return log.Entries()
}

// acknowledged is an aggregate whose write of that version was acknowledged.
func acknowledged(entries []history.Entry, version int64) (aggregate string, found bool) {
	for _, e := range entries {
		if e.Kind == history.KindCall && e.Call.Step == history.OK && e.Call.Write.Version == version {
			return e.Call.Write.Aggregate, true
		}
	}
	return "", false
}

// first is the event of an aggregate's version 1.
func first(s *history.State, aggregate string) string {
	for _, e := range s.Events {
		if e.Aggregate == aggregate && e.Version == 1 {
			return e.ID
		}
	}
	return ""
}

func has(violations []check.Violation, rule check.Rule) bool {
	return slices.ContainsFunc(violations, func(v check.Violation) bool { return v.Rule == rule })
}

func list(violations []check.Violation) string {
	var lines []string
	for _, v := range violations {
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}

// retried is a hop of a batch that did not go through.
func retried(ids ...string) hop.Hop {
	return hop.Hop{At: at, Stage: hop.Queue, Outcome: hop.Retry, EventIDs: ids, Count: len(ids)}
}

// published is a hop of a batch that a pipe put on the bus.
func published(ids ...string) hop.Hop {
	return hop.Hop{At: at, Stage: hop.Pipe, Outcome: hop.OK, EventIDs: ids, Count: len(ids)}
}

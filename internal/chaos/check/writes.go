package check

import (
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

// operation is everything that was asked and answered under one name.
type operation struct {
	name    string
	write   history.Write
	outcome history.Step // OK, Fail or Unknown
}

// tries follows the requests of one operation.
type tries struct {
	open, unknown, ok int
}

// operationsOf merges the requests of each operation: it succeeded when one of them did, and failed only
// when every one is known to have failed.
func operationsOf(entries []history.Entry) []*operation {
	var all []*operation
	byName := map[string]*operation{}
	seen := map[string]*tries{}
	for _, e := range entries {
		if e.Kind != history.KindCall {
			continue
		}
		call := e.Call
		op := byName[call.Operation]
		if op == nil {
			op = &operation{name: call.Operation, write: call.Write}
			byName[call.Operation], seen[call.Operation] = op, &tries{}
			all = append(all, op)
		}
		seen[call.Operation].step(call.Step)
		op.outcome = seen[call.Operation].outcome()
	}
	return all
}

func (t *tries) step(s history.Step) {
	switch s {
	case history.Invoke:
		t.open++
		return
	case history.OK:
		t.ok++
	case history.Unknown:
		t.unknown++
	case history.Fail:
	}
	t.open--
}

func (t *tries) outcome() history.Step {
	switch {
	case t.ok > 0:
		return history.OK
	case t.open > 0 || t.unknown > 0:
		return history.Unknown
	}
	return history.Fail
}

func (c *Counts) count(operations []*operation) {
	for _, op := range operations {
		c.Operations++
		switch op.outcome {
		case history.OK:
			c.Acknowledged++
		case history.Fail:
			c.Failed++
		case history.Unknown, history.Invoke:
			c.Unknown++
		}
	}
}

// slot is a place for one event: an aggregate has one event a version.
type slot struct {
	aggregate string
	version   int64
}

// makes reports whether the event is what the write makes.
func makes(w history.Write, e history.Event) bool {
	return w.Aggregate == e.Aggregate && w.Version == e.Version && w.Type == e.Type &&
		(w.Value == "" || e.Value == "" || w.Value == e.Value)
}

// writes judges what became of each operation: acknowledged, all of it is there; failed, none of it;
// unknown, all or none.
func (j *judgement) writes() {
	events := map[slot][]history.Event{}
	for _, e := range j.Events {
		if e.Cause == "" {
			at := slot{e.Aggregate, e.Version}
			events[at] = append(events[at], e)
		}
	}
	possible := map[string]bool{} // ids of events that a write may have made
	for _, op := range j.operations {
		made := 0
		for _, e := range events[slot{op.write.Aggregate, op.write.Version}] {
			if makes(op.write, e) {
				made++
				possible[e.ID] = possible[e.ID] || op.outcome != history.Fail
			}
		}
		if op.outcome == history.OK && made == 0 {
			j.violate(Lost, op.write.Aggregate, "", "%s was acknowledged, but its event %s, version %d of %s, is not in the outbox",
				op.name, op.write.Type, op.write.Version, op.write.Aggregate)
		}
	}
	for _, e := range j.Events {
		if e.Cause == "" && !possible[e.ID] {
			j.violate(Unexpected, e.Aggregate, e.ID, "event %s (%s, version %d of %s) is of no write that may have been committed",
				e.ID, e.Type, e.Version, e.Aggregate)
		}
	}
	j.torn(events)
	j.objects()
}

// torn finds versions that have two events or none, and events whose version the aggregate has not.
func (j *judgement) torn(events map[slot][]history.Event) {
	versions := map[string]int64{}
	for _, o := range j.Objects {
		versions[o.Aggregate] = o.Version
		for v := int64(1); v <= o.Version; v++ {
			if len(events[slot{o.Aggregate, v}]) == 0 {
				j.violate(Torn, o.Aggregate, "", "%s has version %d, but there is no event of version %d", o.Aggregate, o.Version, v)
			}
		}
	}
	for _, e := range j.Events {
		if e.Cause != "" {
			continue
		}
		if versions[e.Aggregate] < e.Version {
			j.violate(Torn, e.Aggregate, e.ID, "event %s is of version %d, but %s has version %d", e.ID, e.Version, e.Aggregate, versions[e.Aggregate])
		}
		if same := events[slot{e.Aggregate, e.Version}]; len(same) > 1 && same[0].ID != e.ID {
			j.violate(Duplicated, e.Aggregate, e.ID, "events %s and %s both are of version %d of %s", same[0].ID, e.ID, e.Version, e.Aggregate)
		}
	}
}

// objects finds acknowledged writes that the aggregate has lost, and aggregates that nobody asked for.
func (j *judgement) objects() {
	found := map[string]int64{}
	for _, o := range j.Objects {
		found[o.Aggregate] = o.Version
	}
	asked := map[string]bool{}
	for _, op := range j.operations {
		asked[op.write.Aggregate] = asked[op.write.Aggregate] || op.outcome != history.Fail
		if op.outcome == history.OK && found[op.write.Aggregate] < op.write.Version {
			j.violate(Lost, op.write.Aggregate, "", "%s was acknowledged with version %d, but %s has version %d",
				op.name, op.write.Version, op.write.Aggregate, found[op.write.Aggregate])
		}
	}
	for _, o := range j.Objects {
		if !asked[o.Aggregate] {
			j.violate(Unexpected, o.Aggregate, "", "%s is there, but no write of it may have been committed", o.Aggregate)
		}
	}
}

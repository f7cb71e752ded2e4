package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// The faults after which a pipe sends again what its target has accepted, besides a kill of the run.
const (
	redeliver = "stream.redeliver" // it names the first record of those that come again
	restart   = "pipe.restart"
)

// republished finds events that a pipe put on the bus more than once although no fault made it. Consumers
// with an inbox would bear it; but then something else than a new outbox item became an event.
//
// A pipe reports what was accepted after it has stored its position. So it sends an event again, after such
// a report, in two cases only: it was started again since, from a position before a record of the same batch
// that had failed; or the stream gave the event twice.
func republished(entries []history.Entry) []Violation {
	var found []Violation
	p := published{entries: entries, sent: map[string][]int{}}
	for _, e := range entries {
		if e.Kind == history.KindMistake && (e.Mistake.Kind == PipeStopped || e.Mistake.Kind == FilterBroken) {
			p.changes = append(p.changes, e)
		}
	}
	for at, e := range entries {
		switch e.Kind {
		case history.KindFault:
			p.fault(at, *e.Fault)
		case history.KindHop:
			if e.Hop.Stage != hop.Pipe || e.Hop.Outcome != hop.OK {
				continue
			}
			for _, id := range e.Hop.EventIDs {
				if len(p.sent[id]) > 0 && !p.excused(id) && !p.changed(id, e.At) {
					found = append(found, Violation{Rule: Republished, Event: id, Text: fmt.Sprintf("event %s was put on the bus again, and no fault accounts for it", id)})
				}
				p.sent[id] = append(p.sent[id], at)
			}
		case history.KindMistake, history.KindCall, history.KindPhase, history.KindEvent, history.KindObject, history.KindEffect, history.KindDeadLetter, history.KindAudit, history.KindDenial:
		}
	}
	return found
}

// published is what pipes have put on the bus so far. Numbers are places in the history.
type published struct {
	entries   []history.Entry
	changes   []history.Entry  // of the pipe, by operators
	sent      map[string][]int // by event
	restarted int              // the last start of a pipe, or of all
	repeats   []repeat
}

// repeat is an injected redelivery: of the event, and of what came with it after it.
type repeat struct {
	at    int
	event string
}

func (p *published) fault(at int, f history.Fault) {
	switch f.Point {
	case restart, KillRun:
		p.restarted = at
	case redeliver:
		for _, id := range f.Events {
			p.repeats = append(p.repeats, repeat{at, id})
		}
	}
}

// changed reports whether an operator has changed the pipe, which starts it again, between the last time that the event was
// sent and now. Hops come later than they happen, so their times count and not their places.
func (p *published) changed(id string, now time.Time) bool {
	times := p.sent[id]
	last := p.entries[times[len(times)-1]].At
	return slices.ContainsFunc(p.changes, func(m history.Entry) bool { return !last.After(m.At) && !now.Before(m.Mistake.Began) })
}

// excused reports whether a fault accounts for an event that comes once more.
func (p *published) excused(id string) bool {
	times := p.sent[id]
	last := times[len(times)-1]
	return p.restarted > last || slices.ContainsFunc(p.repeats, func(r repeat) bool { return p.repeated(r, last) })
}

// repeated reports whether what was sent at that place may be sent again for the redelivery. It came with the
// event that the redelivery names, so it was sent after the fault, and before that event was sent again.
func (p *published) repeated(r repeat, last int) bool {
	times := p.sent[r.event]
	after, _ := slices.BinarySearch(times, r.at)
	return last > r.at && (len(times) < after+2 || last < times[after+1])
}

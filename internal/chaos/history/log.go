package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Log collects a history while it happens. Its methods may be called from many goroutines.
type Log struct {
	mu      sync.Mutex
	entries []Entry
}

// Call notes a step of a request.
func (l *Log) Call(c Call) { l.add(Entry{Kind: KindCall, Call: &c}) }

// Hop notes a hop.
func (l *Log) Hop(h hop.Hop) { l.add(Entry{Kind: KindHop, Hop: &h, At: h.At}) }

// Fault notes a fault that fired.
func (l *Log) Fault(at time.Time, f Fault) { l.add(Entry{Kind: KindFault, Fault: &f, At: at}) }

// Phase notes that a phase begins.
func (l *Log) Phase(p Phase) { l.add(Entry{Kind: KindPhase, Phase: &p}) }

// Mistake notes a mistake of an operator.
func (l *Log) Mistake(m Mistake) { l.add(Entry{Kind: KindMistake, Mistake: &m}) }

// Audit notes what an audit reported.
func (l *Log) Audit(a Audit) { l.add(Entry{Kind: KindAudit, Audit: &a}) }

// Denial notes what IAM denied.
func (l *Log) Denial(d Denial) { l.add(Entry{Kind: KindDenial, Denial: &d}) }

// State notes what was found in tables and queues.
func (l *Log) State(s State) {
	for _, e := range s.Events {
		l.add(Entry{Kind: KindEvent, Event: &e})
	}
	for _, o := range s.Objects {
		l.add(Entry{Kind: KindObject, Object: &o})
	}
	for _, e := range s.Effects {
		l.add(Entry{Kind: KindEffect, Effect: &e})
	}
	for _, d := range s.DeadLetters {
		l.add(Entry{Kind: KindDeadLetter, DeadLetter: &d})
	}
}

// Entries returns all entries so far.
func (l *Log) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[:len(l.entries):len(l.entries)]
}

// Add adds an entry of another history.
func (l *Log) Add(e Entry) { l.add(e) }

func (l *Log) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.N = len(l.entries) + 1
	if e.At.IsZero() {
		e.At = time.Now()
	}
	l.entries = append(l.entries, e)
}

// State is what was found in tables and queues when nothing moved any more.
type State struct {
	Events      []Event
	Objects     []Object
	Effects     []Effect
	DeadLetters []DeadLetter
}

// Final returns the last state that a history holds.
func Final(entries []Entry) State {
	var s State
	for _, e := range entries {
		switch e.Kind {
		case KindPhase:
			if e.Phase.Name.HasState() {
				s = State{}
			}
		case KindEvent:
			s.Events = append(s.Events, *e.Event)
		case KindObject:
			s.Objects = append(s.Objects, *e.Object)
		case KindEffect:
			s.Effects = append(s.Effects, *e.Effect)
		case KindDeadLetter:
			s.DeadLetters = append(s.DeadLetters, *e.DeadLetter)
		case KindCall, KindHop, KindFault, KindMistake, KindAudit, KindDenial:
		}
	}
	return s
}

// Encode writes a history as JSON lines.
func Encode(w io.Writer, entries []Entry) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write line %d of the history: %w", e.N, err)
		}
	}
	return out.Flush()
}

// Decode reads what Encode wrote.
func Decode(r io.Reader) ([]Entry, error) {
	var entries []Entry
	for dec := json.NewDecoder(r); ; {
		var e Entry
		switch err := dec.Decode(&e); {
		case err == io.EOF:
			return entries, nil
		case err != nil:
			return nil, fmt.Errorf("read line %d of the history: %w", len(entries)+1, err)
		}
		entries = append(entries, e)
	}
}

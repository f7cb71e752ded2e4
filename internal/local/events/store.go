package events

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// The limits of a store.
const (
	// defaultLimit is how many events a store keeps.
	defaultLimit = 20_000
	// maxPayloads limits the bytes of all payloads that a store keeps.
	maxPayloads = 64 << 20
	// maxSteps is how many steps of one event are kept: its first keepFirst, and the latest.
	maxSteps, keepFirst = 200, 50
	// maxDetail is the longest text of a step, in bytes.
	maxDetail = 4 << 10
)

// A Store keeps the latest events of a run and forgets the oldest. Its methods may be called from many goroutines.
type Store struct {
	limit int

	mu       sync.Mutex
	events   []*record // in the order of their numbers, without a gap
	byID     map[string]*record
	number   uint64
	revision uint64
	payloads int
	newest   *record       // the one that changed last; the others follow by older
	oldest   *record       // the one that has not changed for longest
	changed  chan struct{} // closed at the next change; nil: nobody waits
}

// A record is an event in the store, linked with those that changed before and after it.
type record struct {
	Event
	older, newer *record
	accepted     bool // a bus has it, so that its targets are known
}

// New returns an empty store that keeps so many events. Default: 20,000.
func New(limit int) *Store {
	if limit <= 0 {
		limit = defaultLimit
	}
	return &Store{limit: limit, byID: map[string]*record{}}
}

// Get returns an event with its steps and its payload, and whether the store has it.
func (s *Store) Get(id string) (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[id]
	if r == nil {
		return Event{}, false
	}
	e := r.Event
	e.Deliveries, e.Steps = slices.Clone(e.Deliveries), slices.Clone(e.Steps)
	return e, true
}

// Watch returns the events that have changed after a revision, the latest change first, without steps and payloads, and
// the store's revision. While there are none, it waits for the next change or until ctx is done. It begins with revision 0.
func (s *Store) Watch(ctx context.Context, after uint64) (changed []Event, revision uint64, err error) {
	for {
		s.mu.Lock()
		for r := s.newest; r != nil && r.Revision > after; r = r.older {
			changed = append(changed, r.summary())
		}
		revision = s.revision
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		next := s.changed
		s.mu.Unlock()
		if len(changed) > 0 {
			return changed, revision, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, after, ctx.Err()
		}
	}
}

// summary returns the event without steps and payload. The store's lock is held.
func (r *record) summary() Event {
	e := r.Event
	e.Steps, e.Payload, e.Deliveries = nil, nil, slices.Clone(e.Deliveries)
	return e
}

// find returns the record of an event, a new one where there is none. The lock is held.
func (s *Store) find(id string, at time.Time) *record {
	if r := s.byID[id]; r != nil {
		return r
	}
	s.number++
	r := &record{Event: Event{ID: id, Number: s.number, FirstSeen: at, State: Moving}}
	s.byID[id] = r
	s.events = append(s.events, r)
	s.trim(s.limit)
	return r
}

// setPayload keeps what an event says, at the cost of older events where they are too large together. The lock is held.
func (s *Store) setPayload(r *record, payload json.RawMessage) {
	s.payloads += len(payload) - len(r.Payload)
	r.Payload = payload
	for s.payloads > maxPayloads && len(s.events) > 1 {
		s.trim(len(s.events) - 1)
	}
}

// trim forgets the oldest events but the latest n. The lock is held.
func (s *Store) trim(n int) {
	for len(s.events) > n {
		r := s.events[0]
		s.events[0] = nil
		s.events = s.events[1:]
		s.payloads -= len(r.Payload)
		delete(s.byID, r.ID)
		s.unlink(r)
	}
}

// touch gives a record a new revision and wakes those who wait. The lock is held.
func (s *Store) touch(r *record) {
	if s.byID[r.ID] != r {
		return // forgotten meanwhile
	}
	r.State = r.state()
	s.revision++
	r.Revision = s.revision
	s.unlink(r)
	r.older, s.newest = s.newest, r
	if r.older != nil {
		r.older.newer = r
	} else {
		s.oldest = r
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *Store) unlink(r *record) {
	if r.newer != nil {
		r.newer.older = r.older
	} else if s.newest == r {
		s.newest = r.older
	}
	if r.older != nil {
		r.older.newer = r.newer
	} else if s.oldest == r {
		s.oldest = r.newer
	}
	r.older, r.newer = nil, nil
}

// Revision returns the store's revision, which grows with each change of any event.
func (s *Store) Revision() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

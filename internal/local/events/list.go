package events

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// A Query says which events to list. Its zero value lists all but heartbeats.
type Query struct {
	Type      string `json:"type,omitempty"`      // detail-type
	Source    string `json:"source,omitempty"`    // source
	Aggregate string `json:"aggregate,omitempty"` // "Order", "Order c-1" or "Order#c-1"
	State     State  `json:"state,omitempty"`
	CausedBy  string `json:"causedBy,omitempty"`   // id of the event whose handling led to it
	Chain     string `json:"chain,omitempty"`      // correlation id, which is the id of the event that began the chain
	Text      string `json:"text,omitempty"`       // in the id, the type, the aggregate, or the payload; in any case of letters
	Heartbeat bool   `json:"heartbeats,omitempty"` // heartbeats too

	// Before continues a list: the Number of the last event of the page before. Default: the newest.
	Before uint64 `json:"before,omitempty"`
	// Skip is how many of the newest that match are left out.
	Skip int `json:"skip,omitempty"`
	// Limit is how many events a page has at most. Default: 100.
	Limit int `json:"limit,omitempty"`
	// Count looks at all events, for [Page.Matched] and [Page.Types].
	Count bool `json:"count,omitempty"`
}

// defaultPage is how many events a page has where the query sets no limit.
const defaultPage = 100

// A Page is a part of a list.
type Page struct {
	Events []Event `json:"events"` // the newest first, without steps and payloads
	// Next is the Before of the page that follows; 0 for the last one.
	Next uint64 `json:"next,omitempty"`
	// Total is how many events the store has, whatever the query.
	Total int `json:"total"`
	// Matched is how many events match, and Types are those of all events, sorted; both where the query has Count.
	Matched int      `json:"matched,omitempty"`
	Types   []string `json:"types,omitempty"`
	// Revision is the store's, from which [Store.Watch] continues.
	Revision uint64 `json:"revision"`
}

// List returns the newest events that match the query.
func (s *Store) List(q Query) Page {
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	page := Page{Total: len(s.events), Revision: s.revision}
	matched := 0
	types := map[string]bool{}
	for i := s.before(q.Before) - 1; i >= 0; i-- {
		r := s.events[i]
		if q.Count && r.Type != "" && !r.Heartbeat {
			types[r.Type] = true
		}
		if !q.matches(&r.Event) {
			continue
		}
		matched++
		switch {
		case matched <= q.Skip:
		case len(page.Events) < q.Limit:
			page.Events = append(page.Events, r.summary())
		case page.Next == 0:
			page.Next = page.Events[q.Limit-1].Number
		}
		if page.Next != 0 && !q.Count {
			break
		}
	}
	if q.Count {
		page.Matched, page.Types = matched, slices.Sorted(maps.Keys(types))
	}
	return page
}

// before returns how many of the events have a smaller number. The lock is held.
func (s *Store) before(number uint64) int {
	if number == 0 || len(s.events) == 0 {
		return len(s.events)
	}
	first := s.events[0].Number
	if number <= first {
		return 0
	}
	return int(min(number-first, uint64(len(s.events))))
}

// Matches reports whether an event matches the query.
func (q Query) matches(e *Event) bool {
	return (q.Heartbeat || !e.Heartbeat) &&
		(q.Type == "" || q.Type == e.Type) &&
		(q.Source == "" || q.Source == e.Source) &&
		(q.State == "" || q.State == e.State) &&
		(q.CausedBy == "" || q.CausedBy == e.CausationID) &&
		(q.Chain == "" || q.Chain == e.CorrelationID || q.Chain == e.ID) &&
		(q.Aggregate == "" || e.isOf(q.Aggregate)) &&
		(q.Text == "" || e.contains(q.Text))
}

// isOf reports whether an event is of an aggregate, or of a type of aggregates.
func (e *Event) isOf(aggregate string) bool {
	kind, id, one := strings.Cut(aggregate, "#")
	if !one {
		kind, id, one = strings.Cut(aggregate, " ")
	}
	return kind == e.AggregateType && (!one || id == e.AggregateID)
}

func (e *Event) contains(text string) bool {
	text = strings.ToLower(text)
	for _, field := range []string{e.ID, e.Type, e.AggregateType + "#" + e.AggregateID, e.Source} {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return bytes.Contains(bytes.ToLower(e.Payload), []byte(text))
}

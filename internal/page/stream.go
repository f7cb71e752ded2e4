package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// sendEvery is how often the page is told of what has moved: often enough to see it move, and seldom enough that neither
	// the page nor the run has much to do with it.
	sendEvery = 250 * time.Millisecond
	// lookEvery is how often the stack is asked how it stands.
	lookEvery = 2 * time.Second
)

// A message is one of the stream to the page.
type message struct {
	Moves []Move `json:"moves,omitempty"`
	// Events reports that the list of events has changed.
	Events bool `json:"events,omitempty"`
	// Flow reports that other templates run.
	Flow  bool   `json:"flow,omitempty"`
	State *State `json:"state,omitempty"`
	// Problem is why there is no state.
	Problem string `json:"problem,omitempty"`
}

// A hub collects what happens, for all pages that are open. While none is, it does nothing and costs nothing.
type hub struct {
	backend Backend
	running sync.WaitGroup

	mu    sync.Mutex
	pages map[chan []byte]bool
	stop  context.CancelFunc
	last  []byte // the last message with a state, for a page that is opened

	moves  map[Move]int
	events bool
	flow   bool
}

func newHub(b Backend) *hub {
	return &hub{backend: b, pages: map[chan []byte]bool{}, moves: map[Move]int{}}
}

// changes streams what happens to a page, as server-sent events.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	messages := s.hub.open()
	defer s.hub.close(messages)
	for {
		select {
		case <-r.Context().Done():
			return
		case m := <-messages:
			if _, err := fmt.Fprintf(w, "data: %s\n\n", m); err != nil || control.Flush() != nil {
				return
			}
		}
	}
}

// open returns the messages for one more page, and starts to look when it is the first.
func (h *hub) open() chan []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A page that does not keep up misses messages: each state replaces the one before.
	messages := make(chan []byte, 16)
	h.pages[messages] = true
	if h.last != nil {
		messages <- h.last
	}
	if h.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		h.stop = stop
		h.running.Go(func() { h.backend.Follow(ctx, h.note) })
		h.running.Go(func() { h.every(ctx, sendEvery, h.sendMoves) })
		h.running.Go(func() { h.every(ctx, lookEvery, h.look) })
	}
	return messages
}

// close ends the messages for a page, and stops to look when it was the last.
func (h *hub) close(messages chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pages, messages)
	if len(h.pages) == 0 && h.stop != nil {
		h.stop()
		h.stop, h.last = nil, nil
	}
}

// wait returns when nothing looks any more. No page may be open.
func (h *hub) wait() { h.running.Wait() }

// every calls do at once and then again and again until ctx is done.
func (h *hub) every(ctx context.Context, d time.Duration, do func(context.Context)) {
	ticks := time.NewTicker(d)
	defer ticks.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// note adds a change to those that the pages will be told of.
func (h *hub) note(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range c.Moves {
		n := m.Count
		m.Count = 0
		h.moves[m] += n
	}
	h.events, h.flow = h.events || c.Events, h.flow || c.Flow
}

func (h *hub) sendMoves(context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := message{Events: h.events, Flow: h.flow}
	for move, count := range h.moves {
		move.Count = count
		m.Moves = append(m.Moves, move)
	}
	clear(h.moves)
	h.events, h.flow = false, false
	if m.Events || m.Flow || len(m.Moves) > 0 {
		h.send(m)
	}
}

func (h *hub) look(ctx context.Context) {
	state, err := h.backend.State(ctx)
	m := message{State: state}
	if err != nil {
		m = message{Problem: err.Error()}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() == nil {
		h.last = h.send(m)
	}
}

// send sends a message to all pages. The hub must be locked.
func (h *hub) send(m message) []byte {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	for page := range h.pages {
		select {
		case page <- raw:
		default:
		}
	}
	return raw
}

package main

import (
	"context"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// looks are what one run has seen in dead-letter queues, so that it looks into none twice: consumers share some of them.
type looks struct {
	queues queues
	found  map[string]*audit.DeadLetters // by URL
}

// into returns the messages of some queues, and whether those are all.
func (l looks) into(ctx context.Context, urls ...string) (all []*audit.DeadLetters, complete bool, err error) {
	complete = true
	for _, url := range urls {
		if l.found[url] == nil {
			if l.found[url], err = audit.Peek(ctx, l.queues, url); err != nil {
				return nil, false, err
			}
		}
		all = append(all, l.found[url])
		complete = complete && l.found[url].Complete
	}
	return all, complete, nil
}

// remembersFor is how long an event that was found in a dead-letter queue counts as waiting there.
const remembersFor = firstRepairPause

// waiting remembers which missing effects wait in dead-letter queues. It is lost with the function's process; then the next
// run looks once more.
type waiting struct {
	mu    sync.Mutex
	until map[waitingKey]time.Time
}

type waitingKey struct{ consumer, source, id string }

func keyOf(u audit.Unconfirmed) waitingKey { return waitingKey{u.Consumer, u.Source, u.ID} }

func (w *waiting) remember(now time.Time, effects ...audit.Unconfirmed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until == nil {
		w.until = map[waitingKey]time.Time{}
	}
	for key, until := range w.until {
		if !now.Before(until) {
			delete(w.until, key)
		}
	}
	for _, u := range effects {
		w.until[keyOf(u)] = now.Add(remembersFor)
	}
}

func (w *waiting) knows(u audit.Unconfirmed, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.Before(w.until[keyOf(u)])
}

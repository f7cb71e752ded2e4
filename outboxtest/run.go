package outboxtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// A Run is one test's view of a running stack. Its methods may be called from several goroutines; those that fail the test
// must be called from its own, as those of [testing.TB].
type Run struct {
	stack    *stack
	patience time.Duration
	own      bool

	mu   sync.Mutex
	seen map[string]bool // ids of the events that this test has caused or looked at
}

// Name returns the name of the stack.
func (r *Run) Name() string { return r.stack.Summary.Stack }

// see remembers that the test has to do with an event.
func (r *Run) see(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[id] = true
}

// An outcome is what a wait has come to.
type outcome int

const (
	pending outcome = iota // it may still happen
	done
	hopeless // it cannot happen any more
)

// await asks is again after each change of an event until it is done or hopeless, the run has ended, or the patience is over.
// why says what came instead of done.
func (r *Run) await(t testing.TB, is func() outcome) (why string, ok bool) {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithDeadline(context.Background(), deadline(t, r.patience))
	defer cancel()
	go func() {
		select {
		case <-r.stack.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	store := r.stack.Events()
	revision := store.List(events.Query{Limit: 1}).Revision
	for {
		switch is() {
		case done:
			return "", true
		case hopeless:
			return "", false
		case pending:
		}
		var err error
		if _, revision, err = store.Watch(ctx, revision); err == nil {
			continue
		}
		select {
		case <-r.stack.ended:
			return "; the run has ended: " + describe(r.stack.err), false
		default:
			return " within " + time.Since(began).Round(100*time.Millisecond).String(), false
		}
	}
}

func describe(err error) string {
	if err == nil {
		return "it was told to"
	}
	return err.Error()
}

package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
)

// Start returns a test's view of a running stack. The first test with these options starts it, and the others share it; it
// ends with the test binary, however that ends. Start fails the test when the stack cannot run, with everything that is wrong.
func Start(t testing.TB, with ...Option) *Run {
	t.Helper()
	o := options{patience: defaultPatience}
	for _, option := range with {
		option(&o)
	}
	if err := o.complete(); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	launch := launchShared
	if o.own {
		launch = launchStack
	}
	s, err := launch(o)
	if err != nil {
		t.Fatalf("outboxtest: start the stack: %v", err)
	}
	if o.own {
		t.Cleanup(s.close)
	}
	return &Run{stack: s, patience: o.patience, own: o.own, seen: map[string]bool{}}
}

// A stack is a running stack.
type stack struct {
	*local.Session
	notices *notices
	ended   chan struct{} // closed when it has ended by itself
	err     error         // valid once ended is closed
	remove  func()        // of its data
}

var (
	sharedLock sync.Mutex
	shared     = map[options]func() (*stack, error){}
)

// launchShared returns the run that all tests with these options share.
func launchShared(o options) (*stack, error) {
	o.patience = 0
	sharedLock.Lock()
	launch := shared[o]
	if launch == nil {
		launch = sync.OnceValues(func() (*stack, error) { return launchStack(o) })
		shared[o] = launch
	}
	sharedLock.Unlock()
	return launch()
}

// launchStack starts a stack. Its processes end with this one, and its data are removed then.
func launchStack(o options) (_ *stack, err error) {
	if err := o.synthesize(); err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "outboxtest-")
	if err != nil {
		return nil, fmt.Errorf("folder for its data: %w", err)
	}
	remove, err := process.RemoveAtExit(data)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	s := &stack{notices: &notices{}, ended: make(chan struct{}), remove: remove}
	s.Session, err = local.Start(context.Background(), local.Options{App: o.assembly, Stacks: o.names(), Data: data}, s.notices)
	if err != nil {
		remove()
		return nil, err
	}
	go func() {
		s.err = s.Wait()
		close(s.ended)
	}()
	return s, nil
}

// names returns the names of the stacks, or nil for the first.
func (o options) names() []string {
	if o.stacks == "" {
		return nil
	}
	return strings.Split(o.stacks, ",")
}

func (s *stack) close() {
	s.Close()
	<-s.ended
	s.remove()
}

// deadline returns how long a wait may take: the patience, and less where the test's own deadline is near.
func deadline(t testing.TB, patience time.Duration) time.Time {
	end := time.Now().Add(patience)
	if limited, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		// Two seconds are left to say what was waited for.
		if last, ok := limited.Deadline(); ok && last.Add(-2*time.Second).Before(end) {
			return last.Add(-2 * time.Second)
		}
	}
	return end
}

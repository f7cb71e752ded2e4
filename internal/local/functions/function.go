package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A function is one Lambda function and its execution environments.
type function struct {
	service   *Service
	logicalID string
	name      string
	arn       string
	props     properties
	dir       string // takes what is compiled or written for it

	timeout     time.Duration
	initTimeout time.Duration
	idleTime    time.Duration

	resource template.Resource // that declares it
	users    sync.WaitGroup    // invocations; the service's lock guards Add against its retirement

	prepared chan struct{} // closed when program or problem is set
	program  program
	problem  error

	slots chan struct{} // holds one element a running invocation; its capacity is the limit
	mu    sync.Mutex
	idle  []*environment // the one used last is at the end
}

// prepare runs the work that has to be done before the first start, in the background.
func (f *function) prepare(work func(context.Context) (program, error)) {
	spawned := f.service.spawn(func() {
		defer close(f.prepared)
		f.program, f.problem = work(f.service.life)
		if f.problem != nil {
			f.problem = fmt.Errorf("function %s: %w", f.logicalID, f.problem)
		}
	})
	if !spawned {
		f.problem = ErrClosed
		close(f.prepared)
	}
}

// ready waits until the function can be started.
func (f *function) ready(ctx context.Context) error {
	select {
	case <-f.prepared:
		return f.problem
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invoke finds an execution environment for the payload and returns its answer. arn is the one that the caller used.
func (f *function) invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	if cap(f.slots) == 0 {
		return nil, fmt.Errorf("%w: ReservedConcurrentExecutions is 0", ErrThrottled)
	}
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.service.life.Done():
		return nil, ErrClosed
	}
	for {
		env, warm := f.takeIdle()
		if !warm {
			var err error
			if env, err = f.start(ctx); err != nil {
				return nil, err
			}
		}
		response, err := env.invoke(ctx, arn, payload)
		if errors.Is(err, errNotTaken) {
			if warm {
				continue // it ended while it was idle: no harm done
			}
			return nil, env.crashed(time.Now())
		}
		f.putIdle(env)
		return response, err
	}
}

// takeIdle takes the environment that was used last: the others may then grow old and end.
func (f *function) takeIdle() (*environment, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.idle) - 1
	if last < 0 {
		return nil, false
	}
	env := f.idle[last]
	f.idle = slices.Delete(f.idle, last, last+1)
	env.expiry.Stop()
	return env, true
}

// putIdle keeps the environment for the next invocation, if it is still alive.
func (f *function) putIdle(env *environment) {
	if env.hasEnded() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, env)
	env.expiry = time.AfterFunc(f.idleTime, func() { f.expire(env) })
}

// expire ends an environment that is idle.
func (f *function) expire(env *environment) {
	f.mu.Lock()
	at := slices.Index(f.idle, env)
	if at >= 0 {
		f.idle = slices.Delete(f.idle, at, at+1)
	}
	f.mu.Unlock()
	if at >= 0 {
		env.kill()
	}
}

// fail reports that an environment failed, not the code in it, and returns the error for the caller.
func (f *function) fail(c hop.Cause, kind, message, logTail string, took time.Duration) error {
	err := &FunctionError{Function: f.logicalID, Type: kind, Message: message, LogTail: logTail}
	if f.service.life.Err() == nil {
		f.report(c, hop.Hop{Stage: hop.Function, Outcome: hop.Retry, Latency: took, Detail: kind + ": " + message})
	}
	return err
}

// report passes on a hop of an invocation with that cause.
func (f *function) report(c hop.Cause, h hop.Hop) {
	h.At, h.Resource, h.Source, h.EventIDs = time.Now(), f.logicalID, c.Source, c.EventIDs
	f.service.cfg.Sink(h)
}

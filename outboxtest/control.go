package outboxtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

// Fault has a fault happen once to an event with that id, the next time that the event passes the point: "queue.duplicate", for
// example. Called n times, it makes the fault happen n times in a row. docs/testing.md lists the points, and so does the error for
// another one. What has not fired by the end of the test is canceled.
func (r *Run) Fault(t testing.TB, point, eventID string) {
	t.Helper()
	if eventID == "" {
		t.Fatalf("outboxtest: eventID must not be empty: a fault must not happen to the events of other tests")
	}
	step := faults.Step{Point: faults.Point(point), Key: eventID, Nth: r.ahead(point, eventID) + 1}
	if err := r.stack.Faults().Once(step); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	r.see(eventID)
	t.Cleanup(func() { r.stack.Faults().Cancel(step.Point, eventID) })
}

// ahead returns how many faults of a point wait for an event.
func (r *Run) ahead(point, eventID string) (n int) {
	for _, setting := range r.stack.Faults().Settings() {
		for _, step := range setting.Once {
			if string(step.Point) == point && step.Key == eventID {
				n++
			}
		}
	}
	return n
}

// Stub has handle answer in place of a consumer's function until the test ends, for the events that all matchers match, each
// alone: nil for an event that is handled, or an error for one that failed. One of the matchers must leave out the events of
// other tests in the same run. The queue of the consumer must not be FIFO, where an order of events would be lost.
func (r *Run) Stub(t testing.TB, consumer string, handle func(context.Context, *Event) error, which ...Matcher) {
	t.Helper()
	all := matchers(which)
	if err := r.check(all); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	c := r.consumer(t, consumer)
	restore, err := r.stack.Stub(c.Function, local.Stub{
		Match: func(body json.RawMessage) bool { return all.match(newEvent(events.Parse(body), nil)) },
		Handle: func(ctx context.Context, payload []byte) ([]byte, error) {
			e, err := only(payload)
			if err != nil {
				return nil, err
			}
			return nil, guarded(func() error { return handle(ctx, e) })
		},
	})
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	t.Cleanup(restore)
}

// Answer has answer run in place of a function until the test ends: its payload and its response are those of the function. The
// function has the name, the logical id, the construct path without the stack, or the path's last part. It is for a run of the
// test's [Own].
func (r *Run) Answer(t testing.TB, function string, answer func(ctx context.Context, payload []byte) ([]byte, error)) {
	t.Helper()
	r.needOwn(t, "Answer")
	restore, err := r.stack.Stub(function, local.Stub{Handle: func(ctx context.Context, payload []byte) (response []byte, err error) {
		err = guarded(func() error {
			response, err = answer(ctx, payload)
			return err
		})
		return response, err
	}})
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	t.Cleanup(restore)
}

// Advance sets the time of the stack forward, by 0 or more and without a limit: messages become visible, delays and retention periods end, pipes, rules and
// mappings of streams retry, schedules that are due send an event, and items whose time to live is over are deleted. Functions
// keep the machine's clock. It is for a run of the test's [Own]; [Event.RetryNow] lets the time of one event pass.
func (r *Run) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	r.needOwn(t, "Advance")
	if err := r.stack.Advance(context.Background(), d); err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
}

func (r *Run) needOwn(t testing.TB, method string) {
	t.Helper()
	if !r.own {
		t.Fatalf("outboxtest: %s needs a run that no other test shares: Start(t, outboxtest.Own(), …)", method)
	}
}

// only returns the event in the payload of an invocation with one message.
func only(payload []byte) (*Event, error) {
	var batch struct {
		Records []struct {
			Body string `json:"body"`
		}
	}
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, err
	}
	if n := len(batch.Records); n != 1 {
		return nil, fmt.Errorf("a stub must get one message at a time, got %d: the queue must not be FIFO", n)
	}
	return newEvent(events.Parse(json.RawMessage(batch.Records[0].Body)), nil), nil
}

// guarded runs what a test has written in a goroutine of its own: one that panics or ends its test fails, as a function would,
// and the run goes on.
func guarded(run func() error) (err error) {
	ended := make(chan struct{})
	err = errors.New("it ended its goroutine, as t.FailNow does; call it in the test's own goroutine")
	go func() {
		defer close(ended)
		defer func() {
			if panicked := recover(); panicked != nil {
				err = fmt.Errorf("panic: %v, at %s", panicked, whereItPanicked())
			}
		}()
		err = run()
	}()
	<-ended
	return err
}

// whereItPanicked returns the file and the line at which the goroutine panics.
func whereItPanicked() string {
	frames := make([]uintptr, 32)
	stack := runtime.CallersFrames(frames[:runtime.Callers(0, frames)])
	for panics := false; ; {
		frame, more := stack.Next()
		if panics && !strings.HasPrefix(frame.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		panics = panics || frame.Function == "runtime.gopanic"
	}
}

package inbox_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// seen notes the versions of the events that took effect, in order.
type seen struct {
	mu       sync.Mutex
	versions []int64
}

func (s *seen) ship(ctx context.Context, tx *outbox.Tx, event record.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, event.Version)
	return ship(ctx, tx, event)
}

func TestInOrderGivesBackWhatComesTooEarly(t *testing.T) {
	for name, options := range map[string][]inbox.Option{
		"no read":    {inbox.InOrder()},
		"read first": {inbox.InOrder(), inbox.ReadFirst()},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			handler := inbox.Handler(f.store(t, f.DB), ship, options...)
			steps := []struct {
				id      string
				version int
				want    string
			}{
				{"e2", 2, "too early"},
				{"e1", 1, "handled"},
				{"e3", 3, "too early"},
				{"e1", 1, "duplicate"},
				{"e2", 2, "handled"},
				{"e1", 1, "duplicate"},
				{"e3", 3, "handled"},
			}
			for i, step := range steps {
				failures := deliver(t.Context(), t, handler, message(step.id, "o1", step.version))
				if got := f.outcomes(t)["m-"+step.id]; got != step.want {
					t.Errorf("step %d: version %d is %s, want %s", i, step.version, got, step.want)
				}
				if comesBack := len(failures) == 1; comesBack != (step.want == "too early") {
					t.Errorf("step %d: failures %v", i, failures)
				}
			}
			expect(t, "shipments", len(f.Items(shipments)), 3)
			expect(t, "visibility changes", len(f.queues.changed), 2)
			expect(t, "other aggregates", deliver(t.Context(), t, handler, message("e9", "o9", 1)), []string{})
		})
	}
}

func TestInOrderSortsABatch(t *testing.T) {
	f := newFixture()
	var s seen
	handler := inbox.Handler(f.store(t, f.DB), s.ship, inbox.InOrder())
	failures := deliver(t.Context(), t, handler,
		message("e3", "o1", 3), message("e2", "o1", 2), message("e1", "o1", 1), message("e4", "o1", 4))
	expect(t, "failures", failures, []string{})
	expect(t, "order", s.versions, []int64{1, 2, 3, 4})
}

func TestInOrderDoesNotStartSuccessorsOfAFailure(t *testing.T) {
	f := newFixture()
	var s seen
	handler := inbox.Handler(f.store(t, f.DB), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
		if event.Version == 2 {
			return errTest
		}
		return s.ship(ctx, tx, event)
	}, inbox.InOrder())
	failures := sorted(deliver(t.Context(), t, handler, message("e3", "o1", 3), message("e2", "o1", 2), message("e1", "o1", 1)))
	expect(t, "failures", failures, []string{"m-e2", "m-e3"})
	expect(t, "order", s.versions, []int64{1})
}

func TestInOrderGivesBackAllThatComesAfterAGap(t *testing.T) {
	f := newFixture()
	var s seen
	handler := inbox.Handler(f.store(t, f.DB), s.ship, inbox.InOrder(), inbox.ReadFirst())
	failures := sorted(deliver(t.Context(), t, handler, message("e3", "o1", 3), message("e4", "o1", 4), message("e1", "o1", 1)))
	expect(t, "failures", failures, []string{"m-e3", "m-e4"})
	expect(t, "visibility changes", len(f.queues.changed), 2)
	expect(t, "order", s.versions, []int64{1})
}

// The pause doubles with each receive, from a second to a minute.
func TestInOrderWaitsLongerEachTime(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
	for receives, longest := range map[int]int32{1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 30: 60} {
		f.queues.changed = nil
		m := message("e2", "o1", 2)
		m.Attributes["ApproximateReceiveCount"] = strconv.Itoa(receives)
		deliver(t.Context(), t, handler, m)
		change := f.queues.changed[0]
		if change.VisibilityTimeout > longest || change.VisibilityTimeout < max(1, longest/2) {
			t.Errorf("receive %d: %d s, want between %d and %d", receives, change.VisibilityTimeout, longest/2, longest)
		}
		expect(t, "receipt", *change.ReceiptHandle, "r-e2")
		expect(t, "queue", *change.QueueUrl, queueURL)
	}
}

func TestInOrderEndsTheWaiting(t *testing.T) {
	for name, tt := range map[string]struct {
		options []inbox.Option
		bound   time.Duration
	}{
		"default": {[]inbox.Option{inbox.InOrder()}, 15 * time.Minute},
		"set":     {[]inbox.Option{inbox.InOrder(), inbox.GapTimeout(time.Minute)}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				handler := inbox.Handler(f.store(t, f.DB), ship, tt.options...)
				deliver(t.Context(), t, handler, message("e1", "o0", 1)) // the consumer has joined
				time.Sleep(time.Hour)
				f.write(t, "o1", 1, 3)
				m := message("e3", "o1", 3)
				time.Sleep(tt.bound - time.Second)
				expect(t, "failures before the bound", deliver(t.Context(), t, handler, m), []string{"m-e3"})
				time.Sleep(time.Second)
				expect(t, "failures at the bound", deliver(t.Context(), t, handler, m), []string{})
				if len(f.queues.sent) != 1 {
					t.Fatalf("%d dead letters, want 1", len(f.queues.sent))
				}
				reason := aws.ToString(f.queues.sent[0].MessageAttributes[inbox.ReasonAttribute].StringValue)
				if want := "version 3 came before version 1 was handled; waited " + tt.bound.String(); reason != want {
					t.Errorf("reason %q, want %q", reason, want)
				}
			})
		})
	}
}

func TestInOrderRefusesASecondEventOfAVersion(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
	deliver(t.Context(), t, handler, message("e1", "o1", 1))
	expect(t, "failures", deliver(t.Context(), t, handler, message("other", "o1", 1)), []string{})
	expect(t, "outcome", f.outcomes(t)["m-other"], "permanent")
	reason := aws.ToString(f.queues.sent[0].MessageAttributes[inbox.ReasonAttribute].StringValue)
	if !strings.Contains(reason, `event "other" is version 1 of Order "o1" of source "orders", but as that version the consumer has handled event "e1"`) {
		t.Errorf("reason %q", reason)
	}
}

// A function that meets the state before its predecessor's effects may call that a permanent error.
func TestInOrderErrorOfAnEarlyEventIsAGap(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), func(context.Context, *outbox.Tx, record.Event) error { return inbox.Permanent(errTest) }, inbox.InOrder())
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o1", 2)), []string{"m-e2"})
	expect(t, "outcome", f.outcomes(t)["m-e2"], "too early")
	expect(t, "dead letters", len(f.queues.sent), 0)
}

func TestInOrderComesBackEvenIfVisibilityCannotBeChanged(t *testing.T) {
	f := newFixture()
	f.queues.err = errors.New("access denied")
	handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o1", 2)), []string{"m-e2"})
	if text := f.logs.lines(t)[0]["error"].(string); !strings.Contains(text, "access denied") {
		t.Errorf("logged %q", text)
	}
}

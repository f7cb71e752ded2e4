package inbox_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func TestEffectTakesPlaceOnce(t *testing.T) {
	f := newFixture()
	var got []string
	handler := inbox.EffectHandler(f.store(t, f.DB), func(_ context.Context, event record.Event) error {
		got = append(got, event.ID)
		return nil
	})
	for range 3 {
		expect(t, "failures", deliver(t.Context(), t, handler, message("e1", "o1", 1)), []string{})
	}
	expect(t, "effects", got, []string{"e1"})
	expect(t, "outcome", f.outcomes(t)["m-e1"], "duplicate")
	marker := f.Items(inboxTable)[0]
	if _, leased := marker["leaseUntil"]; leased || stringOf(marker, "expiresAt") == "" {
		t.Errorf("marker %v, want one without a lease and with an expiry", marker)
	}
}

func TestClaimKeepsADuplicateOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		effects := 0
		handler := inbox.EffectHandler(f.store(t, f.DB), func(context.Context, record.Event) error {
			effects++
			time.Sleep(time.Second)
			return nil
		})
		done := make(chan []string)
		go func() { done <- deliver(t.Context(), t, handler, message("e1", "o1", 1)) }()
		synctest.Wait()
		expect(t, "failures of the duplicate", deliver(t.Context(), t, handler, message("e1", "o1", 1)), []string{"m-e1"})
		if text := f.logs.lines(t)[0]["error"].(string); !strings.Contains(text, "another invocation is handling the event") {
			t.Errorf("logged %q", text)
		}
		expect(t, "failures of the first", <-done, []string{})
		expect(t, "effects", effects, 1)
	})
}

// An effect that failed, or whose process died, is tried again once the lease is over: two seconds after
// the context of the work, which ends a second before the invocation's 10 s.
func TestClaimEndsWithTheInvocation(t *testing.T) {
	ends := map[string]func(conn *dynamotest.Conn) error{
		"error":                      func(*dynamotest.Conn) error { return errTest },
		"panic":                      func(*dynamotest.Conn) error { panic("lost") },
		"crash before it is marked":  func(*dynamotest.Conn) error { return nil },
		"permanent error, not moved": func(*dynamotest.Conn) error { return inbox.Permanent(errTest) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.queues.err = errTest
				crash := name == "crash before it is marked"
				calls := 0
				conn := f.Connect(func() dynamotest.Fault {
					if calls++; crash && calls == 2 {
						return dynamotest.CrashBefore
					}
					return dynamotest.None
				}, func() {})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				first := inbox.EffectHandler(f.store(t, conn), func(context.Context, record.Event) error { return end(conn) })
				expect(t, "failures", deliver(ctx, t, first, message("e1", "o1", 1)), []string{"m-e1"})

				effects := 0
				second := inbox.EffectHandler(f.store(t, f.DB), func(context.Context, record.Event) error { effects++; return nil })
				time.Sleep(time.Until(start.Add(11 * time.Second)))
				expect(t, "failures under the lease", deliver(t.Context(), t, second, message("e1", "o1", 1)), []string{"m-e1"})
				time.Sleep(time.Second)
				expect(t, "failures after the lease", deliver(t.Context(), t, second, message("e1", "o1", 1)), []string{})
				expect(t, "effects", effects, 1)
			})
		})
	}
}

// An invocation that lost its lease must not pass for the one that completes it.
func TestLostClaimIsNotCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		store := f.store(t, f.DB)
		release := make(chan struct{})
		first := inbox.EffectHandler(store, func(context.Context, record.Event) error { <-release; return nil })
		second := inbox.EffectHandler(store, func(context.Context, record.Event) error { close(release); synctest.Wait(); return errTest })
		done := make(chan []string)
		go func() { done <- deliver(t.Context(), t, first, message("e1", "o1", 1)) }()
		time.Sleep(time.Hour)
		deliver(t.Context(), t, second, message("e1", "o1", 1))
		expect(t, "failures of the first", <-done, []string{"m-e1"})
		if _, leased := f.Items(inboxTable)[0]["leaseUntil"]; !leased {
			t.Error("the event is marked as handled")
		}
	})
}

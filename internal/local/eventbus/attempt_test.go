package eventbus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

func TestAround(t *testing.T) {
	around := func(t *testing.T, a Around) snapshot {
		f := newFixture(t, ordersTarget(nil))
		f.around = a
		f.put("T")
		time.Sleep(time.Minute)
		return f.snapshot()
	}
	synctest.Test(t, func(t *testing.T) {
		l := around(t, func(ctx context.Context, a Attempt, deliver func(context.Context) error) error {
			expect(t, "attempt", fmt.Sprint(a.RuleARN, a.QueueARN, string(a.Event)), ruleARN+queueARN+`{"detail":{"id":"e1"}}`)
			return errors.Join(deliver(ctx), deliver(ctx))
		})
		expect(t, "sent twice", len(l.sent), 2)
		expect(t, "outcomes", l.outcomes(), "ok ")
	})
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		l := around(t, func(ctx context.Context, _ Attempt, deliver func(context.Context) error) error {
			if calls++; calls <= 2 {
				return errors.New("not now")
			}
			return deliver(ctx)
		})
		expect(t, "sent after retries", len(l.sent), 1)
		expect(t, "outcomes", l.outcomes(), "retry retry ok ")
	})
	synctest.Test(t, func(t *testing.T) {
		l := around(t, func(context.Context, Attempt, func(context.Context) error) error {
			return fmt.Errorf("%w: injected", ErrNoPermission)
		})
		expect(t, "sent", len(l.sent), 0)
		expect(t, "code", l.deadLetters[0].attributes["ERROR_CODE"], "NO_PERMISSIONS")
		expect(t, "outcome", l.hops[0].Outcome, hop.DeadLetter)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil))
		f.denied = []string{queueARN}
		f.around = func(ctx context.Context, _ Attempt, deliver func(context.Context) error) error { return deliver(ctx) }
		f.put("T")
		expect(t, "a failure that is passed on keeps its code", f.snapshot().deadLetters[0].attributes["ERROR_CODE"], "NO_PERMISSIONS")
	})
}

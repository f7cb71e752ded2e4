package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
)

// sleep sleeps on the clock and returns a channel with the result.
func sleep(ctx context.Context, c *clock.Clock, d time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Sleep(ctx, d) }()
	synctest.Wait()
	return done
}

func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Clock
		began := time.Now()
		hour, day := sleep(t.Context(), &c, time.Hour), sleep(t.Context(), &c, 24*time.Hour)
		c.Advance(2 * time.Hour)
		if err := <-hour; err != nil || time.Since(began) != 0 || c.Since(began) != 2*time.Hour {
			t.Errorf("%v; %s passed, and %s on the clock", err, time.Since(began), c.Since(began))
		}
		synctest.Wait()
		select {
		case <-day:
			t.Error("a day is over after two hours")
		default:
		}
		if <-day; time.Since(began) != 22*time.Hour {
			t.Errorf("the rest took %s", time.Since(began))
		}
	})
}

func TestSleepEnds(t *testing.T) {
	for name, c := range map[string]*clock.Clock{"a clock": {}, "the machine's": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := <-sleep(t.Context(), c, time.Minute); err != nil {
					t.Error(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := sleep(ctx, c, time.Minute)
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

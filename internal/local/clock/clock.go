// Package clock is the time of a run: the machine's, which can be set forward, so that what waits for minutes or days
// happens at once.
package clock

import (
	"context"
	"sync"
	"time"
)

// A Clock tells the time of a run. Its zero value and a nil Clock tell the machine's.
type Clock struct {
	mu      sync.Mutex
	ahead   time.Duration
	changed chan struct{} // closed by the next Advance; nil: nobody waits
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Since returns the time that has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Advance sets the clock forward and wakes those whose time has come.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// SleepUntil returns when the time has come, or with ctx's error when that is done first.
func (c *Clock) SleepUntil(ctx context.Context, t time.Time) error {
	for {
		changed := c.change()
		timer := time.NewTimer(t.Sub(c.Now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-changed:
			timer.Stop()
		}
	}
}

// Sleep waits for d, or returns ctx's error when that is done first.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	return c.SleepUntil(ctx, c.Now().Add(d))
}

// change returns a channel that is closed by the next Advance. A nil Clock has none.
func (c *Clock) change() <-chan struct{} {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

package local

import (
	"context"
	"fmt"
	"time"
)

// Advance sets the clock of the run forward: messages in queues become visible, delays and retention periods end, pipes,
// rules and mappings of streams make the retries that are due, schedules that are due send one event, and items whose time to
// live is over are deleted. Functions keep the machine's clock, and so do alarms and metrics.
func (s *Session) Advance(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("the time to advance must not be negative, got %s", d)
	}
	s.current().clock.Advance(d)
	if err := s.current().queue.Advance(ctx, d); err != nil {
		return err
	}
	return s.current().table.Expire(ctx, s.current().clock.Now())
}

// Release makes an event that is in flight at a consumer visible again, as if the visibility timeout of its message were over.
// The clock does not change, and neither does any other message.
func (s *Session) Release(ctx context.Context, eventID, consumer string) error {
	c, err := s.Consumer(consumer)
	if err != nil {
		return err
	}
	return s.current().queue.Release(ctx, c.Queue, eventID)
}

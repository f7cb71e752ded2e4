package running

import (
	"context"

	"github.com/outboxkit/transactional-outbox/internal/page"
)

// DeadLetters returns the dead-letter messages, the oldest first.
func (r *Run) DeadLetters(ctx context.Context) (*page.DeadLetterList, error) {
	shown, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return shown.DeadLetters(ctx)
}

// Redrive sends the dead-letter messages with the ids back to where they were not delivered.
func (r *Run) Redrive(ctx context.Context, ids []string) (*page.Result, error) {
	shown, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return shown.Redrive(ctx, ids)
}

// Discard deletes the dead-letter messages with the ids for good.
func (r *Run) Discard(ctx context.Context, ids []string) (*page.Result, error) {
	shown, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return shown.Discard(ctx, ids)
}

package smoke

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// cleanups are what is to be undone, the last first.
type cleanups struct{ all []cleanup }

type cleanup struct {
	what string // that is left behind where it fails: "queue outbox-smoke-…-tap"
	undo func(context.Context) error
}

func (c *cleanups) add(what string, undo func(context.Context) error) {
	c.all = append(c.all, cleanup{what, undo})
}

// cleanupTimeout is how long one thing may take to undo: a pipe takes a minute or two to start.
const cleanupTimeout = 5 * time.Minute

// run undoes everything, also when ctx is done, and returns what it could not.
func (c *cleanups) run(ctx context.Context, d *operate.Dialog) (left []string) {
	if len(c.all) > 0 && ctx.Err() != nil {
		d.Say("removing what the checks have made …")
	}
	for _, one := range slices.Backward(c.all) {
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		if err := one.undo(undoing); err != nil {
			left = append(left, fmt.Sprintf("%s (%v)", one.what, err))
		}
		cancel()
	}
	c.all = nil
	return left
}

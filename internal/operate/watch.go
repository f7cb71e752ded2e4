package operate

import (
	"context"
	"time"
)

// watchEvery is how often a stack is looked at.
const watchEvery = 2 * time.Second

// Watch surveys the stack and shows each status until ctx is done. It returns the last status that was complete.
func (v *Surveyor) Watch(ctx context.Context, show func(*Status) error) (*Status, error) {
	ticks := time.NewTicker(watchEvery)
	defer ticks.Stop()
	var last *Status
	for {
		status, err := v.Survey(ctx)
		if err != nil { // told to stop; what was asked meanwhile has no answer
			return last, nil
		}
		last = status
		if err := show(status); err != nil {
			return last, err
		}
		select {
		case <-ctx.Done():
			return last, nil
		case <-ticks.C:
		}
	}
}

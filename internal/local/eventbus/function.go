package eventbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How Lambda treats an event that EventBridge has handed over to it, where the function has no event invoke configuration: two
// retries after one and two minutes, and at most six hours; both are the most that can be configured too. The target's
// dead-letter queue does not receive what the function failed on.
// Source: Lambda developer guide, invocation-async-error-handling.
const (
	functionRetries = 2
	functionAge     = 6 * time.Hour
	functionWait    = time.Minute // before the first retry; twice as long before the second
)

// Functions invokes the stack's functions.
type Functions interface {
	// Invoke runs a function and returns an error when it failed or did not run.
	Invoke(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// Timeout returns a function's timeout, and whether there is such a function.
	Timeout(arn string) (timeout time.Duration, found bool)
}

// errFunction is wrapped when the function has the event and failed.
var errFunction = errors.New("the function failed")

// hasFunction reports whether there is a function with that ARN.
func (d *dispatcher) hasFunction(arn string) bool {
	if d.functions == nil {
		return false
	}
	_, found := d.functions.Timeout(arn)
	return found
}

// invoke invokes the function of a target as Lambda does for EventBridge.
func (d *dispatcher) invoke(ctx context.Context, t target, payload []byte) *failure {
	if _, err := d.functions.Invoke(ctx, t.arn, payload); err != nil {
		return &failure{codeTarget, false, fmt.Errorf("%w: %w", errFunction, err)}
	}
	return nil
}

// expired reports whether an event is too old to be handed over to the function: Lambda discards it, as it does with one
// whose retry would be too late.
func (t target) expired(one *delivery, now time.Time) bool {
	return t.function && now.Sub(one.AcceptedAt) >= t.maxAge
}

// wait returns the wait before retry n of a target, counted from 0.
func (t target) wait(n int) time.Duration {
	if t.function {
		return functionWait << n
	}
	return backoff(n)
}

package eventbus

import (
	"context"
	"encoding/json"
	"errors"
)

// Attempt is one try to deliver an event to a target of a rule.
type Attempt struct {
	RuleARN  string
	QueueARN string // the target
	Event    json.RawMessage
}

// Around decides what an attempt comes to. It calls deliver, whose error is what the target said, once,
// several times or not at all. An error that it makes itself is retried, unless it wraps ErrNoPermission.
type Around func(ctx context.Context, a Attempt, deliver func(context.Context) error) error

// ErrNoPermission says that the target does not let the rule in: the event goes to the target's
// dead-letter queue at once.
var ErrNoPermission = errors.New("no permission to send to the target")

// asFailure says what an error means to a delivery.
func asFailure(err error) *failure {
	var failed *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return failed
	case errors.Is(err, ErrNoPermission):
		return &failure{codeNoPermissions, true, err}
	}
	return &failure{codeTarget, false, err}
}

package eventbus

import (
	"context"
	"encoding/json"
	"errors"
)

// An Attempt is one attempt to deliver an event to a target of a rule.
type Attempt struct {
	RuleARN  string
	QueueARN string // the target: a queue, or a function
	Event    json.RawMessage
}

// An Around runs in place of an attempt and returns its result. It calls deliver, which returns the target's
// error, once, several times or not at all. An error of its own is retried, unless it wraps [ErrNoPermission].
type Around func(ctx context.Context, a Attempt, deliver func(context.Context) error) error

// ErrNoPermission reports that the target's policy does not allow the rule: the event goes to the target's
// dead-letter queue at once.
var ErrNoPermission = errors.New("no permission to send to the target")

// asFailure returns the failure that an error of an [Around] stands for, or nil.
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

package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// An Attempt is one attempt to deliver an event to a target of a rule.
type Attempt struct {
	RuleARN  string
	QueueARN string // the target: a queue, a topic, a function or a bus
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

// attempt attempts a delivery once, through the Around if there is one.
func (d *dispatcher) attempt(ctx context.Context, t target, one *delivery) *failure {
	if d.around == nil || t.ruleARN == "" {
		return d.try(ctx, t, one)
	}
	err := d.around(ctx, Attempt{RuleARN: t.ruleARN, QueueARN: t.arn, Event: one.Event}, func(ctx context.Context) error {
		if failed := d.try(ctx, t, one); failed != nil {
			return failed
		}
		return nil
	})
	return asFailure(err)
}

func (d *dispatcher) try(ctx context.Context, t target, one *delivery) *failure {
	if failed := d.refused(t); failed != nil {
		return failed
	}
	body, err := t.input.apply(one.occurrence())
	if err != nil {
		return &failure{codeClientError, true, err}
	}
	switch {
	case t.function:
		return d.invoke(ctx, t, one, body)
	case t.event != nil:
		return d.buses.put(t.arn, *t.event, body)
	case isBus(t.arn):
		return d.buses.forward(t, body)
	case cloud.IsTopic(t.arn):
		return d.publish(ctx, t.arn, string(body))
	}
	return d.send(ctx, t.arn, message{body: string(body), group: t.group})
}

// refused returns why the rule or schedule may not use the target, or nil.
func (d *dispatcher) refused(t target) *failure {
	exists := d.exists == nil || d.exists(t.arn)
	switch {
	case t.function:
		exists = d.hasFunction(t.arn)
	case isBus(t.arn):
		exists = d.buses.has(t.arn)
	case cloud.IsTopic(t.arn):
		exists = d.topics().HasTopic(t.arn)
	}
	if !exists {
		kind, _ := kindOf(t.arn)
		return &failure{codeNoResource, true, fmt.Errorf("the %s %s does not exist", kind, t.arn)}
	}
	if t.ruleARN == "" {
		return nil // a call was authorized when it was made
	}
	if why := d.denied(t, t.arn); why != "" {
		return &failure{codeNoPermissions, true, errors.New(why)}
	}
	return nil
}

// kindOf returns what a target is, and how it is used, for messages.
func kindOf(arn string) (kind, use string) {
	switch {
	case isFunction(arn):
		return "function", "invoke it"
	case isBus(arn):
		return "event bus", "put events"
	case cloud.IsTopic(arn):
		return "topic", "publish"
	}
	return "queue", "send messages"
}

// denied returns why the rule or schedule of a target may not use the resource, or "". A role of the target decides alone.
// Source: EventBridge user guide, eb-use-resource-based: "If no execution role is configured, EventBridge uses
// resource-based policies on the target resource."
func (d *dispatcher) denied(t target, on string) string {
	switch {
	case t.role != "":
		if !d.policies.RoleAllows(t.role, t.service, t.trusted, on) {
			return fmt.Sprintf("the role %s may not be assumed by %s for %s, or does not allow it to use %s", t.role, t.service, t.trusted, on)
		}
	case !d.policies.Allows(on, principal, t.ruleARN):
		kind, use := kindOf(on)
		return fmt.Sprintf("the %s policy of %s does not allow the rule to %s", kind, on, use)
	}
	return ""
}

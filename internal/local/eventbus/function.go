package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Functions invokes the stack's functions.
type Functions interface {
	// Invoke runs a function and returns an error when it failed or did not run.
	Invoke(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// Timeout returns a function's timeout, and whether there is such a function.
	Timeout(arn string) (timeout time.Duration, found bool)
	// DeadLetterQueue returns the ARN of a function's own dead-letter queue, or "".
	DeadLetterQueue(arn string) string
}

// errFunction is wrapped when the function has the event and failed.
var errFunction = errors.New("the function failed")

// InvokeAsync invokes a function as Lambda does for a call of Invoke with the type Event. The invocation is on disk when it
// returns.
// Source: Lambda developer guide, invocation-async.
func (s *Service) InvokeAsync(arn string, payload []byte) error {
	one := []*delivery{{Function: arn, Event: payload, AcceptedAt: s.clock.Now()}}
	if err := s.journal.append(one); err != nil {
		return fmt.Errorf("store the invocation in the journal: %w", err)
	}
	s.dispatcher.dispatch(one)
	return nil
}

// direct returns the target of an invocation that no rule asks for.
func direct(arn string) target { return target{arn: arn, logicalID: arn, function: true} }

// ofFunction returns the target as Lambda treats its function. Other targets stay as they are.
func (s *Service) ofFunction(t target) target {
	if t.function {
		t.settings = s.functions.Of(t.arn)
		t.retries, t.maxAge = t.settings.Retries, t.settings.MaxAge
		if host := s.dispatcher.functions; host != nil {
			t.settings.DeadLetterQueue = host.DeadLetterQueue(t.arn)
		}
	}
	return t
}

// hasFunction reports whether there is a function with that ARN.
func (d *dispatcher) hasFunction(arn string) bool {
	if d.functions == nil {
		return false
	}
	_, found := d.functions.Timeout(arn)
	return found
}

// invoke invokes the function of a target as Lambda does for EventBridge.
func (d *dispatcher) invoke(ctx context.Context, t target, one *delivery, payload []byte) *failure {
	one.last.Payload, one.last.Attempts = payload, one.Retries+1
	one.last.Response, one.last.Err = nil, nil
	response, err := d.functions.Invoke(ctx, t.arn, payload)
	if err != nil {
		one.last.Err = err
		return &failure{codeTarget, false, fmt.Errorf("%w: %w", errFunction, err)}
	}
	one.last.Response = json.RawMessage(response)
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
		return async.Wait(n)
	}
	return backoff(n)
}

// endInvocation sends what became of an invocation to the function's destination and dead-letter queue, and reports its end.
// The target's dead-letter queue does not get what the function has failed on.
func (d *dispatcher) endInvocation(ctx context.Context, t target, one *delivery, condition async.Condition, detail string) {
	one.last.FunctionARN, one.last.Condition = t.arn, condition
	if one.last.Payload == nil { // it was never invoked
		one.last.Payload, one.last.Attempts = one.Event, one.Retries
		if body, err := t.input.apply(one.occurrence()); err == nil {
			one.last.Payload = body
		}
	}
	messages := t.settings.Messages(one.last)
	err := d.async.Send(ctx, t.arn, messages)
	if err != nil && ctx.Err() != nil {
		return // it stays in the journal
	}
	end := hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.OK, Detail: detail}
	switch {
	case err != nil:
		end.Outcome, end.Detail = hop.Dropped, detail+"; as on AWS, it is lost: "+err.Error()
	case condition == async.Success:
	case len(messages) == 0:
		end.Outcome, end.Detail = hop.Dropped, detail+"; the function has neither a destination of failures nor a dead-letter queue"
	default:
		end.Outcome, end.Source, end.Target = hop.DeadLetter, t.arn, messages[0].Queue
	}
	d.finish(one, end)
}

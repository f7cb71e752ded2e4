package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

const (
	// maxReceive is the most messages of one request. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// hiddenFor is how long a pending message is hidden while a run works on it: longer than a run takes. Should the run end
	// in between, the message comes again after it.
	hiddenFor = 2 * time.Minute
	// emptyInARow is how many receives in a row must bring nothing. They do not wait, because the function would be paid
	// for waiting; what SQS overlooks comes a minute later.
	emptyInARow = 2
	// writesAtOnce is how many items are written at the same time.
	writesAtOnce = 16
	// firstPause is the pause between the first look for an effect and the second; it doubles up to longestPause.
	firstPause   = time.Minute
	longestPause = time.Hour
)

// pauseAfter returns the pause after so many looks in vain.
func pauseAfter(checks int) time.Duration {
	return min(longestPause, firstPause<<min(checks-1, 10))
}

// drain looks for the effects of the pending events that are due, for some time.
func (r *run) drain(ctx context.Context, end time.Time) error {
	var problems []error
	for empty := 0; empty < emptyInARow && time.Now().Before(end); {
		out, err := r.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &r.settings.Outbox.Audit.Pending, MaxNumberOfMessages: maxReceive, VisibilityTimeout: int32(hiddenFor / time.Second),
		})
		if err != nil {
			return errors.Join(append(problems, fmt.Errorf("receive pending events: %w", err))...)
		}
		if empty++; len(out.Messages) > 0 {
			empty = 0
		}
		for _, m := range out.Messages {
			if !time.Now().Before(end) {
				problems = append(problems, r.hide(ctx, m, 0)) // for the next run
			} else if err := r.settle(ctx, m); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return errors.Join(problems...)
}

// settle looks for the effects of a message's events and deletes it, or hides it until it is due. The message is deleted
// only after each missing effect is on the list, so none is forgotten; one that comes again changes nothing.
//
// A message that cannot be read goes to the auditor's dead-letter queue, whose alarm somebody sees.
func (r *run) settle(ctx context.Context, m types.Message) error {
	c, err := parseChunk(aws.ToString(m.Body))
	if err != nil {
		return r.putAside(ctx, m, err)
	}
	if rest := time.Until(c.DueAt); rest > time.Second {
		return r.hide(ctx, m, rest)
	}
	if err := r.checkChunk(ctx, c); err != nil {
		return err
	}
	return r.remove(ctx, m)
}

// remove deletes a pending message.
func (r *run) remove(ctx context.Context, m types.Message) error {
	_, err := r.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &r.settings.Outbox.Audit.Pending, ReceiptHandle: m.ReceiptHandle})
	if err != nil {
		return fmt.Errorf("delete a pending message: %w", err)
	}
	return nil
}

// putAside moves a pending message to the auditor's dead-letter queue.
func (r *run) putAside(ctx context.Context, m types.Message, reason error) error {
	r.logger.Error("a pending message cannot be read and goes to the dead-letter queue", "messageId", aws.ToString(m.MessageId), "error", reason)
	_, err := r.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &r.settings.Outbox.Audit.DeadLetterQueue, MessageBody: m.Body})
	if err != nil {
		return fmt.Errorf("put pending message %s aside: %w", aws.ToString(m.MessageId), err)
	}
	return r.remove(ctx, m)
}

// longestHidden is the longest visibility timeout. Source: SQS API reference, ChangeMessageVisibility.
const longestHidden = 12*time.Hour - hiddenFor

// hide hides a pending message for a while, in full seconds.
func (r *run) hide(ctx context.Context, m types.Message, d time.Duration) error {
	seconds := (min(d, longestHidden) + time.Second - 1) / time.Second
	_, err := r.queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &r.settings.Outbox.Audit.Pending, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: int32(seconds),
	})
	if err != nil {
		return fmt.Errorf("hide a pending message: %w", err)
	}
	return nil
}

// checkChunk looks for the effects of a chunk's events.
func (r *run) checkChunk(ctx context.Context, c *chunk) error {
	events := make([][]audit.Event, len(c.Consumers))
	for _, p := range c.Events {
		for _, at := range p.Consumers {
			events[at] = append(events[at], c.event(p))
		}
	}
	var problems []error
	for at, name := range c.Consumers {
		problems = append(problems, r.check(ctx, name, events[at]))
	}
	return errors.Join(problems...)
}

// check looks for the effects of events at one consumer, and puts what is missing on its list. Where the consumer's inbox
// cannot be read, all of them are on the list, so that the other consumers are not held up.
func (r *run) check(ctx context.Context, name string, events []audit.Event) error {
	consumer := r.consumers.Named(name)
	if consumer == nil {
		// It was removed, or its description is being replaced. Nobody looks at its list, which expires, unless it comes back.
		return r.noteMissing(ctx, name, events)
	}
	verdicts, err := audit.Confirm(ctx, r.tables, effectsOf(consumer, events))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.note(fmt.Errorf("consumer %s: %w", name, err))
		return r.noteMissing(ctx, name, events)
	}
	var missing []audit.Event
	for i, v := range verdicts {
		if v.Confirmed {
			r.findings[name].confirm(events[i], v)
		} else {
			missing = append(missing, events[i])
		}
	}
	return r.noteMissing(ctx, name, missing)
}

func effectsOf(c *audit.Consumer, events []audit.Event) []audit.Effect {
	effects := make([]audit.Effect, len(events))
	for i, e := range events {
		effects[i] = audit.Effect{Event: e, Consumer: c}
	}
	return effects
}

// noteMissing puts events on the list of a consumer.
func (r *run) noteMissing(ctx context.Context, consumer string, events []audit.Event) error {
	now := time.Now()
	return each(ctx, events, func(ctx context.Context, e audit.Event) error {
		return r.list.Note(ctx, audit.Unconfirmed{
			Event: e, Consumer: consumer,
			Since: now, Checks: 1, NextCheckAt: now.Add(pauseAfter(1)), ExpiresAt: e.WrittenAt.Add(r.retention),
		})
	})
}

// each calls do for each of some values, for several at the same time.
func each[T any](ctx context.Context, values []T, do func(context.Context, T) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(writesAtOnce)
	for _, v := range values {
		all.Go(func() error { return do(ctx, v) })
	}
	return all.Wait()
}

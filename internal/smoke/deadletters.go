package smoke

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A deadLetter is a message of the pipe's dead-letter queue that stands for an event of the run's.
type deadLetter struct {
	id, body string
	redriven bool
}

func (r *Runner) redriver() *redrive.Redriver {
	return redrive.New(redrive.Clients{SQS: r.Clients.Queues, EventBridge: r.Clients.Buses, Streams: r.Clients.Streams, DynamoDB: r.Clients.Tables})
}

func (r *Runner) pipeTarget() redrive.PipeTarget {
	return redrive.PipeTarget{Bus: r.Outbox.Bus, OutboxTable: r.Outbox.Table, Source: r.Outbox.Source}
}

// deadLetterOf looks for the event in the pipe's dead-letter queue, and gives back what it received. It returns nil where the
// event is not among them.
func (r *Runner) deadLetterOf(ctx context.Context, event string) (*deadLetter, error) {
	url := r.Outbox.PipeDeadLetterQueue
	out, err := r.Clients.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 20, WaitTimeSeconds: 1})
	if err != nil {
		return nil, fmt.Errorf("look into the pipe's dead-letter queue: %w", err)
	}
	var found *deadLetter
	for _, m := range out.Messages {
		items, err := r.redriver().Events(ctx, aws.ToString(m.Body), r.pipeTarget())
		for _, it := range items {
			if textOf(it, record.AttrID) == event {
				found = &deadLetter{id: aws.ToString(m.MessageId), body: aws.ToString(m.Body)}
			}
		}
		if id := aws.ToString(m.MessageId); err != nil && !r.unread[id] {
			r.Dialog.Say("     message %s of the pipe's dead-letter queue cannot be read: %v", id, err)
			r.unread[id] = true
		}
		if _, err := r.Clients.Queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}); err != nil {
			return nil, fmt.Errorf("give a message back to the pipe's dead-letter queue: %w", err)
		}
	}
	if found != nil {
		r.cleanups.add("message "+found.id+" in the pipe's dead-letter queue", found.discard(r))
	}
	return found, nil
}

// only selects the one message.
func (d *deadLetter) only() redrive.Selection {
	return redrive.Selection{Match: func(m sqstypes.Message) bool { return aws.ToString(m.MessageId) == d.id }}
}

// discard returns what removes the message at the end, where it was not redriven.
func (d *deadLetter) discard(r *Runner) func(context.Context) error {
	return func(ctx context.Context) error {
		if d.redriven {
			return nil
		}
		_, err := r.redriver().Selecting(d.only()).Discard(ctx, r.Outbox.PipeDeadLetterQueue, func(context.Context, sqstypes.Message) error { return nil })
		return err
	}
}

// awaitDeadLetter waits until the event is in the pipe's dead-letter queue.
func (r *Runner) awaitDeadLetter(ctx context.Context, event string) (dead *deadLetter, err error) {
	err = r.await(ctx, "event "+event+" is in the pipe's dead-letter queue", func() (bool, error) {
		dead, err = r.deadLetterOf(ctx, event)
		return dead != nil, err
	})
	return dead, err
}

// redrivePipe redrives the one message, until the bus takes its event.
func (r *Runner) redrivePipe(ctx context.Context, dead *deadLetter) error {
	var kept error
	err := r.await(ctx, "the dead-letter message is redriven", func() (bool, error) {
		report, err := r.redriver().Selecting(dead.only()).Pipe(ctx, r.Outbox.PipeDeadLetterQueue, r.pipeTarget())
		for _, k := range report.Kept {
			kept = k.Err
		}
		dead.redriven = dead.redriven || report.Redriven > 0
		return dead.redriven, err
	})
	if err != nil {
		return errors.Join(err, kept)
	}
	return nil
}

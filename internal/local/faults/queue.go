package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
)

var (
	errReceive = errors.New("InternalFailure: injected")
	errDelete  = errors.New("InternalFailure: injected")
)

// Queue returns a function that injects the faults of queues between an event source mapping and its queue in c.
func (i *Injector) Queue(c *cloud.Cloud) func(string, messages.Queue) messages.Queue {
	return func(arn string, next messages.Queue) messages.Queue {
		makeVisible := func(ctx context.Context, m types.Message) {
			// When this fails, the message becomes visible later.
			_, _ = c.SQS().ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: aws.String(c.QueueURL(arn)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
			})
		}
		return &queue{Injector: i, name: resourceName(arn), makeVisible: makeVisible, next: next}
	}
}

// A queue injects faults into the queue of an event source mapping. It decides for each message, once each time
// the message is received from the queue itself.
type queue struct {
	*Injector
	name        string
	makeVisible func(context.Context, types.Message) // makes a message in flight visible
	next        messages.Queue

	mu   sync.Mutex
	held []types.Message // returned by the next receive, after its other messages
}

// heldWait is how long held messages wait for others to precede them: the shortest wait of a receive.
const heldWait = time.Second

// Receive implements messages.Queue.
func (q *queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error) {
	late := q.release(limit)
	if len(late) == limit {
		return late, nil
	}
	if len(late) > 0 {
		wait = min(wait, heldWait)
	}
	fresh, err := q.next.Receive(ctx, limit-len(late), wait)
	if err != nil {
		q.hold(late...)
		return nil, err
	}
	if q.isIdle() {
		return append(fresh, late...), nil
	}
	if q.anyFires(QueueReceiveError, q.subjects(fresh)) {
		q.hold(fresh...)
		q.hold(late...)
		return nil, errReceive
	}
	return append(q.applyFaults(ctx, fresh), late...), nil
}

// applyFaults decides about fresh messages and returns those to give out now. A FIFO queue has no duplicates and
// keeps the order.
// Source: SQS developer guide, standard-queues and FIFO-queues-exactly-once-processing.
func (q *queue) applyFaults(ctx context.Context, fresh []types.Message) []types.Message {
	if strings.HasSuffix(q.name, ".fifo") {
		return fresh
	}
	var now []types.Message
	for _, m := range fresh {
		s := q.subject(m)
		if q.fires(QueueEarlyVisibility, s) {
			q.makeVisible(ctx, m)
		}
		if q.fires(QueueDuplicate, s) {
			q.hold(m)
		}
		if q.fires(QueueReorder, s) {
			q.hold(m)
		} else {
			now = append(now, m)
		}
	}
	return now
}

// Delete implements messages.Queue.
func (q *queue) Delete(ctx context.Context, messages []types.Message) error {
	if q.isIdle() {
		return q.next.Delete(ctx, messages)
	}
	var problems []error
	var deleted []types.Message
	for _, m := range messages {
		s := q.subject(m)
		fails := q.fires(QueueDeleteFails, s)
		if fails {
			problems = append(problems, fmt.Errorf("message %s: %w", aws.ToString(m.MessageId), errDelete))
		}
		if !fails || q.pick(QueueDeleteFails, s, 2) == 0 {
			deleted = append(deleted, m)
		}
	}
	if len(deleted) > 0 {
		problems = append(problems, q.next.Delete(ctx, deleted))
	}
	return errors.Join(problems...)
}

func (q *queue) subject(m types.Message) subject {
	return q.names.inBody(aws.ToString(m.Body)).at(q.name)
}

func (q *queue) subjects(messages []types.Message) []subject {
	subjects := make([]subject, len(messages))
	for i, m := range messages {
		subjects[i] = q.subject(m)
	}
	return subjects
}

func (q *queue) hold(messages ...types.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = append(q.held, messages...)
}

// release removes and returns up to limit of the held messages.
func (q *queue) release(limit int) []types.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.held))
	late := q.held[:n:n]
	q.held = q.held[n:]
	return late
}

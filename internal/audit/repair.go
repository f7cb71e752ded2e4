package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// ErrExpired is wrapped by the error of [Repairer.Send] for an event that the outbox table no longer has.
var ErrExpired = errors.New("the event is no longer in the outbox table")

// A Repairer sends an event again to the one consumer that misses it. The inbox takes it for a duplicate where it had its
// effect after all.
type Repairer struct {
	Items       ItemReader
	Queues      QueueSender
	OutboxTable string // name
	Place       Place
}

// Send sends the event of a missing effect to the queue of its consumer, and to no other, as the rule would.
func (r Repairer) Send(ctx context.Context, e Effect) error {
	message, err := r.message(ctx, e)
	if err == nil {
		_, err = r.Queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &e.Consumer.Queue, MessageBody: &message})
	}
	if err != nil {
		return fmt.Errorf("send event %s of source %s to consumer %s again: %w", e.Event.ID, e.Event.Source, e.Consumer.Name, err)
	}
	return nil
}

func (r Repairer) message(ctx context.Context, e Effect) (string, error) {
	if e.Consumer.Queue == "" || strings.HasSuffix(e.Consumer.Queue, ".fifo") {
		return "", fmt.Errorf("its queue must be a known standard queue, got %q", e.Consumer.Queue)
	}
	out, err := r.Items.GetItem(ctx, &dynamodb.GetItemInput{TableName: &r.OutboxTable, Key: e.Event.key(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return "", fmt.Errorf("read the outbox table: %w", err)
	}
	if len(out.Item) == 0 {
		return "", ErrExpired
	}
	return r.Place.Message(out.Item, time.Now())
}

// Behind reports whether a consumer has not yet got to what is in its queue: then its missing effects may still come.
// Messages in flight do not count, because a busy consumer always has some.
func Behind(ctx context.Context, queues QueueDescriber, c *Consumer) (bool, error) {
	counts, err := countMessages(ctx, queues, c.Queue)
	if err != nil {
		return false, fmt.Errorf("count the messages of consumer %s: %w", c.Name, err)
	}
	return counts.visible+counts.delayed > 0, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/emf"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// lagMetric is the time from the commit of a heartbeat to its arrival in the queue.
const lagMetric = "HeartbeatLag"

// heartbeat is the type of the event and of its aggregate.
const heartbeat = "Heartbeat"

// queue is what the function needs of SQS.
type queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
}

// A monitor sends heartbeats and receives them.
type monitor struct {
	outbox  *outbox.Outbox
	queues  queue
	queue   string // URL
	path    string // of the outbox
	metrics io.Writer
	logger  *slog.Logger
}

// beat receives the heartbeats that have arrived and commits the next one. One does not depend on the other.
func (m *monitor) beat(ctx context.Context) error {
	return errors.Join(m.receive(ctx), m.commit(ctx))
}

// commit writes a heartbeat as any writer writes an event. Its aggregate is a new one each time, so that in the course of
// time the heartbeats are in all partitions of the table and go through all shards of its stream.
func (m *monitor) commit(ctx context.Context) error {
	tx := m.outbox.Begin(ctx)
	tx.Append(outbox.Event{Type: heartbeat, AggregateType: heartbeat, AggregateID: uuid.NewString(), Version: 1, Data: struct{}{}})
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit a heartbeat: %w", err)
	}
	return nil
}

// maxReceive is the most messages of one request. Source: SQS API reference, ReceiveMessage.
const maxReceive = 10

// receive emits the lag of each heartbeat that is in the queue. There is one a minute; when the way was blocked, there are
// more, and it goes on until there are none.
func (m *monitor) receive(ctx context.Context) error {
	for {
		out, err := m.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &m.queue, MaxNumberOfMessages: maxReceive,
			WaitTimeSeconds:             1, // asks all of SQS's servers; it only takes as long when nothing is there
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			return fmt.Errorf("receive heartbeats: %w", err)
		}
		if err := m.take(ctx, out.Messages); err != nil {
			return err
		}
		if len(out.Messages) <= 1 {
			return nil
		}
	}
}

// take emits the lags of some heartbeats, and then deletes the messages: a lag may count twice, and is never missed.
func (m *monitor) take(ctx context.Context, messages []types.Message) error {
	var lags []int64
	for _, message := range messages {
		lag, err := lagOf(message)
		if err != nil {
			m.logger.Error("not a heartbeat", "messageId", aws.ToString(message.MessageId), "error", err)
			continue
		}
		lags = append(lags, lag.Milliseconds())
	}
	err := emf.Write(m.metrics, time.Now(), []emf.Dimension{{Name: "Outbox", Value: m.path}}, emf.Metric{Name: lagMetric, Unit: emf.Milliseconds, Values: lags})
	if err != nil {
		return err
	}
	var problems []error
	for _, message := range messages {
		if _, err := m.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &m.queue, ReceiptHandle: message.ReceiptHandle}); err != nil {
			problems = append(problems, fmt.Errorf("delete a heartbeat: %w", err))
		}
	}
	return errors.Join(problems...)
}

// lagOf returns the time from the commit of a heartbeat to its arrival in the queue, by SQS's clock. Where the function's
// clock is ahead of that, it is 0.
func lagOf(message types.Message) (time.Duration, error) {
	event, err := record.Decode([]byte(aws.ToString(message.Body)))
	if err != nil {
		return 0, err
	}
	sent := message.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)]
	ms, err := strconv.ParseInt(sent, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("SentTimestamp must be a whole number of milliseconds, got %q", sent)
	}
	return max(0, time.UnixMilli(ms).Sub(event.OccurredAt)), nil
}

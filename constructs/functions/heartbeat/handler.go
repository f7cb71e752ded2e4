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
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
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

// beat commits the next heartbeat and receives those that have arrived. One does not depend on the other; the commit comes first,
// because a long queue must not keep it from its minute.
func (m *monitor) beat(ctx context.Context) error {
	return errors.Join(m.commit(ctx), m.receive(ctx))
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

// reserve is the time before the function's end in which no more messages are received.
const reserve = 5 * time.Second

// receive emits the lag of each heartbeat that is in the queue. There is one a minute; when the way was blocked, there are
// more, and it goes on until there are none or the function's time is nearly over: the next minute's goes on with the rest.
func (m *monitor) receive(ctx context.Context) error {
	end, limited := ctx.Deadline()
	for !limited || time.Until(end) > reserve {
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
	return nil
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
	return m.remove(ctx, messages)
}

// remove deletes messages, at most maxReceive.
func (m *monitor) remove(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, message := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: message.ReceiptHandle}
	}
	out, err := m.queues.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &m.queue, Entries: entries})
	if err != nil {
		return fmt.Errorf("delete heartbeats: %w", err)
	}
	if n := len(out.Failed); n > 0 {
		return fmt.Errorf("delete heartbeats: %d of %d stay in the queue: %s: %s", n, len(messages), aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
	}
	return nil
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

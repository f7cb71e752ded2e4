package redrive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A ConsumerTarget is where the messages of a consumer's dead-letter queue go.
type ConsumerTarget struct {
	// Queue is the URL of the consumer's queue. Required.
	Queue string
	// Memory is how long the consumer's inbox remembers an event: the function's INBOX_TTL_SECONDS. A message whose
	// event could be handled after that is kept, because a redrive gives it a new age: if the event took effect
	// before, it would again. Default: no message is too old, as is right for an ordered consumer, whose positions
	// never expire, and for one without an inbox.
	Memory time.Duration
}

// Consumer moves the messages of a consumer's dead-letter queue, a URL, back to the consumer's queue. What the inbox
// noted about the failure is taken off the messages; their other attributes and their X-Ray trace stay. A message that
// came from another queue is kept.
func (r *Redriver) Consumer(ctx context.Context, deadLetterQueue string, to ConsumerTarget) (Report, error) {
	if strings.HasSuffix(to.Queue, ".fifo") {
		return Report{}, fmt.Errorf("redrive: the consumer's queue must be a standard queue, got %s; for a FIFO queue use StartMessageMoveTask", to.Queue)
	}
	if to.Memory < 0 {
		return Report{}, fmt.Errorf("redrive: Memory must not be negative, got %s", to.Memory)
	}
	queue, err := r.describe(ctx, to.Queue)
	if err != nil {
		return Report{}, fmt.Errorf("redrive: read the attributes of %s: %w", to.Queue, err)
	}
	return r.redriveQueue(ctx, deadLetterQueue, func(ctx context.Context, m types.Message) error {
		if err := errors.Join(encrypted(m), elsewhere(m, queue.arn)); err != nil {
			return err
		}
		if to.Memory > 0 {
			if err := remembered(m, to.Memory, time.Now().Add(queue.retention)); err != nil {
				return err
			}
		}
		attributes := maps.Clone(m.MessageAttributes)
		delete(attributes, inbox.ReasonAttribute)
		delete(attributes, inbox.ConsumerAttribute)
		delete(attributes, inbox.QueueAttribute)
		return r.send(ctx, to.Queue, m, attributes)
	})
}

// elsewhere reports an error when the message came from another queue than the one with the ARN: another consumer's,
// where a dead-letter queue is shared or the wrong one was named. SQS notes the queue of a message that it moved, and the
// inbox that of a message which failed for good. A message without either is from nobody knows where, and passes.
// Source: SQS API reference, ReceiveMessage, MessageSystemAttributeNames, DeadLetterQueueSourceArn.
func elsewhere(m types.Message, arn string) error {
	from := cmp.Or(m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)],
		aws.ToString(m.MessageAttributes[inbox.QueueAttribute].StringValue))
	if from == "" || from == arn {
		return nil
	}
	return fmt.Errorf("it came from queue %s%s, and would go to %s: redrive it to the queue that it came from",
		from, of(m.MessageAttributes[inbox.ConsumerAttribute]), arn)
}

// of returns which consumer a message was for, where the inbox has noted it.
func of(consumer types.MessageAttributeValue) string {
	if name := aws.ToString(consumer.StringValue); name != "" {
		return fmt.Sprintf(" of consumer %q", name)
	}
	return ""
}

// remembered reports an error when the message's event may be handled as late as latest and the consumer may not
// remember it then. The earlier of the event's own time and the bus's counts: a writer may set any time, and what a
// pipe's redrive publishes has a new time on the bus.
func remembered(m types.Message, memory time.Duration, latest time.Time) error {
	event, err := record.Decode([]byte(aws.ToString(m.Body)))
	if err != nil {
		return fmt.Errorf("how old its event is cannot be told: %w", err)
	}
	var bus struct{ Time time.Time }
	since := event.OccurredAt
	if json.Unmarshal([]byte(aws.ToString(m.Body)), &bus) == nil && !bus.Time.IsZero() && bus.Time.Before(since) {
		since = bus.Time
	}
	forgotten := since.Add(memory)
	if !latest.After(forgotten) {
		return nil
	}
	return fmt.Errorf("event %q is of %s and the consumer remembers it until %s at most, but may get it from the queue until %s: "+
		"if it took effect before, it would again; check that it did not",
		event.ID, date(since), date(forgotten), date(latest))
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// queueInfo is what a redrive must know of the consumer's queue.
type queueInfo struct {
	arn       string
	retention time.Duration // how long it keeps a message
}

func (r *Redriver) describe(ctx context.Context, queue string) (queueInfo, error) {
	const arn, retention = types.QueueAttributeNameQueueArn, types.QueueAttributeNameMessageRetentionPeriod
	out, err := r.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{arn, retention},
	})
	if err != nil {
		return queueInfo{}, err
	}
	value := out.Attributes[string(retention)]
	n, err := strconv.Atoi(value)
	if err != nil {
		return queueInfo{}, fmt.Errorf("queue attribute %s must be a whole number, got %q", retention, value)
	}
	return queueInfo{arn: out.Attributes[string(arn)], retention: time.Duration(n) * time.Second}, nil
}

// send puts the message's body into a queue, with the attributes and the message's X-Ray trace.
// Source: X-Ray developer guide, "Amazon SQS and AWS X-Ray"; SQS API reference, SendMessage, MessageSystemAttributes.
func (r *Redriver) send(ctx context.Context, queue string, m types.Message, attributes map[string]types.MessageAttributeValue) error {
	in := &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: m.Body, MessageAttributes: attributes}
	if header := m.Attributes[string(types.MessageSystemAttributeNameAWSTraceHeader)]; header != "" {
		in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &header},
		}
	}
	if _, err := r.clients.SQS.SendMessage(ctx, in); err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	return nil
}

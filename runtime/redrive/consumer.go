package redrive

import (
	"context"
	"encoding/json"
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
// noted about the failure is taken off the messages; their other attributes and their X-Ray trace stay.
func (r *Redriver) Consumer(ctx context.Context, deadLetterQueue string, to ConsumerTarget) (Report, error) {
	if strings.HasSuffix(to.Queue, ".fifo") {
		return Report{}, fmt.Errorf("redrive: the consumer's queue must be a standard queue, got %s; for a FIFO queue use StartMessageMoveTask", to.Queue)
	}
	if to.Memory < 0 {
		return Report{}, fmt.Errorf("redrive: Memory must not be negative, got %s", to.Memory)
	}
	remembers := func(types.Message) error { return nil }
	if to.Memory > 0 {
		wait, err := r.retention(ctx, to.Queue)
		if err != nil {
			return Report{}, fmt.Errorf("redrive: ask how long %s keeps a message: %w", to.Queue, err)
		}
		remembers = func(m types.Message) error { return remembered(m, to.Memory, time.Now().Add(wait)) }
	}
	return r.drain(ctx, deadLetterQueue, func(ctx context.Context, m types.Message) error {
		if err := encrypted(m); err != nil {
			return err
		}
		if err := remembers(m); err != nil {
			return err
		}
		attributes := maps.Clone(m.MessageAttributes)
		delete(attributes, inbox.ReasonAttribute)
		delete(attributes, inbox.ConsumerAttribute)
		return r.send(ctx, to.Queue, m, attributes)
	})
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
	return fmt.Errorf("event %s is of %s and the consumer remembers it until %s at most, but may get it from the queue until %s: "+
		"if it took effect before, it would again; check that it did not, then redrive it without a memory",
		event.ID, date(since), date(forgotten), date(latest))
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// retention returns how long a queue keeps a message.
func (r *Redriver) retention(ctx context.Context, queue string) (time.Duration, error) {
	const name = types.QueueAttributeNameMessageRetentionPeriod
	out, err := r.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return 0, err
	}
	value := out.Attributes[string(name)]
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, fmt.Errorf("queue attribute %s must be a whole number, got %q", name, value)
	}
	return time.Duration(n) * time.Second, nil
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

package operate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// What EventBridge notes on the message of an event that a rule could not deliver.
// Source: EventBridge user guide, eb-rule-event-delivery, "Using dead-letter queues".
const (
	attrErrorCode    = "ERROR_CODE"
	attrErrorMessage = "ERROR_MESSAGE"
	attrTarget       = "TARGET_ARN"
)

// A DeadLetterMessage is one message of a dead-letter queue. Of a pipe's and an auditor's, which hold no event, only Records is
// known.
type DeadLetterMessage struct {
	Kind      DeadLetterKind `json:"kind"`
	Queue     string         `json:"queue"`              // name
	Consumer  string         `json:"consumer,omitempty"` // label, full name where another has that too; none where it cannot be told
	MessageID string         `json:"messageId"`

	EventID       string `json:"eventId,omitempty"`
	Type          string `json:"type,omitempty"`
	Source        string `json:"source,omitempty"`
	AggregateType string `json:"aggregateType,omitempty"`
	AggregateID   string `json:"aggregateId,omitempty"`
	Version       int64  `json:"version,omitempty"`
	Records       int    `json:"records,omitempty"` // how many records of the stream a pipe's or an auditor's message stands for

	SentAt   time.Time `json:"sentAt"` // first into a queue: of a consumer's message, when the rule delivered the event
	Receives int       `json:"receives"`
	Reason   string    `json:"reason"`

	message types.Message
	of      *Consumer // nil where it cannot be told
}

// Aggregate returns the aggregate as flags name it: "Order#o-1".
func (m *DeadLetterMessage) Aggregate() string {
	if m.AggregateType == "" {
		return ""
	}
	return record.PartitionKey(m.AggregateType, m.AggregateID)
}

// Body returns the message as JSON: a string where it is none.
func (m *DeadLetterMessage) Body() json.RawMessage {
	body := []byte(aws.ToString(m.message.Body))
	if !json.Valid(body) {
		body, _ = json.Marshal(string(body)) // a string can always be
	}
	return body
}

// read returns what is known of a message of the queue.
func (q *DeadLetterQueue) read(m types.Message) *DeadLetterMessage {
	d := &DeadLetterMessage{
		Kind: q.Kind, Queue: queueName(q.URL), MessageID: aws.ToString(m.MessageId), message: m,
		SentAt: millis(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)]),
	}
	d.Receives, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
	if !q.Kind.holdsEvents() {
		d.readPlace(aws.ToString(m.Body))
		return d
	}
	consumer := q.consumerOf(m)
	if consumer != nil {
		d.of, d.Consumer = consumer, q.nameOf(consumer)
	}
	d.Reason = q.reason(m, consumer)
	if event, err := record.Decode([]byte(aws.ToString(m.Body))); err != nil {
		d.Reason += "; " + err.Error()
	} else {
		d.EventID, d.Type, d.Source = event.ID, event.Type, event.Source
		d.AggregateType, d.AggregateID, d.Version = event.AggregateType, event.AggregateID, event.Version
	}
	return d
}

// readPlace reads what a pipe, or the auditor's event source mapping, left of the records that it gave up.
// Source: Lambda developer guide, services-dynamodb-errors, for requestContext.
func (m *DeadLetterMessage) readPlace(body string) {
	type cause struct {
		Condition string `json:"condition"`
	}
	var place struct {
		Context cause `json:"context"`        // of a pipe
		Request cause `json:"requestContext"` // of Lambda
		Batch   struct {
			Shard string `json:"shardId"`
			Start string `json:"startSequenceNumber"`
			End   string `json:"endSequenceNumber"`
			Size  int    `json:"batchSize"`
		} `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(body), &place); err != nil || place.Batch.Shard == "" {
		m.Reason = "it is no message about records of a DynamoDB stream"
		return
	}
	m.Records = place.Batch.Size
	m.Reason = fmt.Sprintf("%s: %d records of %s, %s to %s", cmp.Or(place.Context.Condition, place.Request.Condition), place.Batch.Size, place.Batch.Shard, place.Batch.Start, place.Batch.End)
}

// consumerOf returns the consumer that a message was for, nil where that cannot be told. The queue that it came from decides;
// the inbox's note of the consumer comes second, for queues whose ARN is not noted.
func (q *DeadLetterQueue) consumerOf(m types.Message) *Consumer {
	origin := originOf(q.Kind, m)
	name := aws.ToString(m.MessageAttributes[inbox.ConsumerAttribute].StringValue)
	for _, c := range q.Consumers {
		if origin != "" && isQueue(origin, c.Queue) || origin == "" && name != "" && c.Name == name {
			return c
		}
	}
	if origin == "" && name == "" && q.Kind == OfConsumer && len(q.Consumers) == 1 {
		return q.Consumers[0]
	}
	return nil
}

// originOf returns the ARN of the queue that a message came from, or was for.
func originOf(kind DeadLetterKind, m types.Message) string {
	if kind == OfRule {
		return aws.ToString(m.MessageAttributes[attrTarget].StringValue)
	}
	return cmp.Or(m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)],
		aws.ToString(m.MessageAttributes[inbox.QueueAttribute].StringValue))
}

// reason returns why a message is in the dead-letter queue.
func (q *DeadLetterQueue) reason(m types.Message, c *Consumer) string {
	note := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	if q.Kind == OfRule {
		return cmp.Or(note(attrErrorCode), "no error code") + ": " + cmp.Or(note(attrErrorMessage), "no message")
	}
	if reason := note(inbox.ReasonAttribute); reason != "" {
		return reason
	}
	if c != nil && c.MaxReceiveCount != "" {
		return "it failed " + c.MaxReceiveCount + " times, and the function's log says why"
	}
	return "it failed as often as its queue allows, and the function's log says why"
}

// millis returns the time of a text of epoch milliseconds, the zero time for another text.
func millis(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

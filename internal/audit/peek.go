package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

// MaximumPeek is the most messages that [Peek] looks at in one queue.
const MaximumPeek = 10_000

const (
	// hideFor is for how many seconds the messages of a queue that is looked into are hidden from others, unless they are
	// released before.
	hideFor = 60
	// maxReceive is the most messages of one request. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// emptyInARow is how many receives in a row must bring nothing new before the queue counts as read.
	emptyInARow = 2
	// emptyAtAGlance is the same for a glance, whose receives do not wait: each asks some of SQS's servers only.
	// Source: SQS developer guide, sqs-short-and-long-polling.
	emptyAtAGlance = 8
)

// Peek returns the messages of dead-letter queues, by URL; an empty URL is ignored. The messages stay in their queues, hidden
// while it looks; each counts as received once more.
func Peek(ctx context.Context, queues QueueReader, urls ...string) (*DeadLetters, error) {
	return lookInto(ctx, queues, urls, peek{emptyInARow: emptyInARow, wait: 1}) // a second asks all of SQS's servers, so that none is overlooked
}

// Glance is Peek for somebody who waits for the answer: it ends when it has as many messages of a queue as SQS counts, which
// may leave out what was sent within the last minute, and waits for none that another receiver has.
// Source: SQS API reference, GetQueueAttributes, for the counts.
func Glance(ctx context.Context, queues QueueReader, urls ...string) (*DeadLetters, error) {
	return lookInto(ctx, queues, urls, peek{emptyInARow: emptyAtAGlance, untilCounted: true})
}

func lookInto(ctx context.Context, queues QueueReader, urls []string, how peek) (*DeadLetters, error) {
	found := &DeadLetters{Complete: true}
	seen := map[string]bool{"": true}
	for _, url := range urls {
		if seen[url] {
			continue
		}
		seen[url] = true
		p := how
		p.queues, p.url, p.messages = queues, url, map[string]types.Message{}
		complete, err := p.run(ctx)
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), hideFor*time.Second) // then they are visible anyway
		p.release(releasing)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("look into %s: %w", url, err)
		}
		found.Complete = found.Complete && complete
		for _, id := range p.order {
			found.add(deadLetterOf(url, p.messages[id]))
		}
	}
	return found, nil
}

// peek is a look into one queue.
type peek struct {
	queues   QueueReader
	url      string
	messages map[string]types.Message // by id
	order    []string

	wait         int32 // seconds that a receive waits for messages
	emptyInARow  int
	untilCounted bool // it ends with as many messages as SQS counts
}

// run receives until nothing new comes, and reports whether that was all.
func (p *peek) run(ctx context.Context) (complete bool, err error) {
	total, err := p.count(ctx)
	if err != nil || total == 0 {
		return err == nil, err
	}
	for empty := 0; empty < p.emptyInARow && (!p.untilCounted || len(p.order) < total); empty++ {
		out, err := p.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &p.url, MaxNumberOfMessages: maxReceive, VisibilityTimeout: hideFor,
			WaitTimeSeconds:       p.wait,
			MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{
				types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameDeadLetterQueueSourceArn,
			},
		})
		if err != nil {
			return false, err
		}
		for _, m := range out.Messages {
			if _, met := p.messages[*m.MessageId]; !met {
				p.order = append(p.order, *m.MessageId)
				empty = -1
			}
			p.messages[*m.MessageId] = m
		}
		if len(p.order) >= MaximumPeek {
			return false, nil
		}
	}
	total, err = p.count(ctx)
	return total <= len(p.order), err
}

// count returns SQS's count of the messages, hidden ones included.
func (p *peek) count(ctx context.Context) (int, error) {
	counts, err := countMessages(ctx, p.queues, p.url)
	return counts.visible + counts.hidden + counts.delayed, err
}

// release makes the messages visible again. One whose release fails is so by itself soon.
func (p *peek) release(ctx context.Context) {
	for some := range slices.Chunk(p.order, maxReceive) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, id := range some {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: p.messages[id].ReceiptHandle, VisibilityTimeout: 0,
			})
		}
		_, _ = p.queues.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &p.url, Entries: entries})
	}
}

// messageCounts are SQS's counts of a queue's messages.
type messageCounts struct{ visible, hidden, delayed int }

func countMessages(ctx context.Context, queues QueueDescriber, url string) (messageCounts, error) {
	const visible, hidden, delayed = types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{visible, hidden, delayed},
	})
	if err != nil {
		return messageCounts{}, err
	}
	var counts messageCounts
	for name, into := range map[types.QueueAttributeName]*int{visible: &counts.visible, hidden: &counts.hidden, delayed: &counts.delayed} {
		if *into, err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return messageCounts{}, fmt.Errorf("queue attribute %s must be a whole number, got %q", name, out.Attributes[string(name)])
		}
	}
	return counts, nil
}

// The message attributes that EventBridge notes. Source: EventBridge user guide, eb-rule-dlq.
const (
	attrTarget       = "TARGET_ARN"
	attrErrorCode    = "ERROR_CODE"
	attrErrorMessage = "ERROR_MESSAGE"
)

// deadLetterOf reads a message as far as it can be read.
func deadLetterOf(url string, m types.Message) DeadLetter {
	note := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	d := DeadLetter{
		Queue: url, MessageID: aws.ToString(m.MessageId),
		Target: cmp.Or(m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)], note(inbox.QueueAttribute), note(attrTarget)),
		Reason: note(inbox.ReasonAttribute),
	}
	if code := note(attrErrorCode); code != "" {
		d.Reason = code + ": " + note(attrErrorMessage)
	}
	if ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64); err == nil {
		d.SentAt = time.UnixMilli(ms)
	}
	d.readBody([]byte(aws.ToString(m.Body)))
	return d
}

// readBody reads which event, or which records of a stream, the message is about. It is not strict: also an event that the
// consumer could not decode is one that waits.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting, for the message of a pipe.
func (d *DeadLetter) readBody(body []byte) {
	var message struct {
		Source     string                     `json:"source"`
		DetailType string                     `json:"detail-type"`
		Time       string                     `json:"time"`
		Detail     map[string]json.RawMessage `json:"detail"`
		Context    struct {
			Condition string `json:"condition"`
		} `json:"context"`
		Batch struct {
			Shard        string    `json:"shardId"`
			First        string    `json:"startSequenceNumber"`
			Last         string    `json:"endSequenceNumber"`
			FirstArrival time.Time `json:"approximateArrivalOfFirstRecord"`
			LastArrival  time.Time `json:"approximateArrivalOfLastRecord"`
		} `json:"DDBStreamBatchInfo"`
	}
	if json.Unmarshal(body, &message) != nil {
		return
	}
	d.Source, d.Type, d.EventID = message.Source, message.DetailType, idIn(message.Detail["id"])
	if at, err := time.Parse(time.RFC3339, message.Time); err == nil {
		d.Time = at
	}
	b := message.Batch
	d.Shard, d.First, d.Last, d.FirstArrival, d.LastArrival = b.Shard, b.First, b.Last, b.FirstArrival, b.LastArrival
	if d.ofPipe() {
		d.Reason = message.Context.Condition
	}
}

// idIn returns the id in a detail: a string, by itself or in DynamoDB's form.
func idIn(raw json.RawMessage) string {
	var id string
	var attribute struct{ S string }
	if json.Unmarshal(raw, &id) != nil && json.Unmarshal(raw, &attribute) == nil {
		return attribute.S
	}
	return id
}

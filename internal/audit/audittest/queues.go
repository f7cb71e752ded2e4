package audittest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Queues are queues in memory, with delays and visibility timeouts.
type Queues struct {
	*Calls
	queues map[string]*queue
	next   int

	// Requests64KB is what the requests cost: one for each 64 KB of a message. Source: aws.amazon.com/sqs/pricing.
	Requests64KB int
}

type queue struct {
	created  time.Time
	messages []*message
}

type message struct {
	id         string
	body       string
	attributes map[string]types.MessageAttributeValue
	system     map[string]string
	visibleAt  time.Time
	delayed    bool // it was never received
	receipt    string
}

// NewQueues returns queues that were created at that time, by URL.
func NewQueues(calls *Calls, created time.Time, urls ...string) *Queues {
	q := &Queues{Calls: calls, queues: map[string]*queue{}}
	for _, url := range urls {
		q.queues[url] = &queue{created: created}
	}
	return q
}

// Create creates a queue now, in place of one that may be there.
func (q *Queues) Create(url string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues[url] = &queue{created: time.Now()}
}

// Remove deletes a queue.
func (q *Queues) Remove(url string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.queues, url)
}

// Bodies returns the bodies of the messages that are in a queue.
func (q *Queues) Bodies(url string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.BodiesLocked(url)
}

// BodiesLocked is Bodies for a hook of [Calls], which runs in the middle of a request.
func (q *Queues) BodiesLocked(url string) []string {
	var bodies []string
	for _, m := range q.queues[url].messages {
		bodies = append(bodies, m.body)
	}
	return bodies
}

// Put puts a message into a queue without a request.
func (q *Queues) Put(url, body string, attributes map[string]string, system map[string]string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	notes := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		notes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	q.put(url, body, 0, notes, system)
}

func (q *Queues) put(url, body string, delay time.Duration, attributes map[string]types.MessageAttributeValue, system map[string]string) {
	q.next++
	all := map[string]string{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	for name, value := range system {
		all[name] = value
	}
	to := q.queues[url]
	to.messages = append(to.messages, &message{
		id: fmt.Sprint("m-", q.next), body: body, attributes: attributes, system: all, visibleAt: time.Now().Add(delay), delayed: delay > 0,
	})
}

func (q *Queues) cost(body string) { q.Requests64KB += max(1, (len(body)+64<<10-1)/(64<<10)) }

func (q *Queues) of(url *string) (*queue, error) {
	found, ok := q.queues[*url]
	if !ok {
		return nil, &types.QueueDoesNotExist{}
	}
	return found, nil
}

// SendMessage refuses what SQS refuses: a body of more than 1 MiB, a delay of more than 15 minutes.
func (q *Queues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if len(*in.MessageBody) > 1<<20 || in.DelaySeconds < 0 || in.DelaySeconds > 900 {
		return nil, fmt.Errorf("InvalidParameterValue: %d bytes, delay %d", len(*in.MessageBody), in.DelaySeconds)
	}
	var missing error
	err := q.do("SendMessage", func() {
		if _, missing = q.of(in.QueueUrl); missing == nil {
			q.cost(*in.MessageBody)
			q.put(*in.QueueUrl, *in.MessageBody, time.Duration(in.DelaySeconds)*time.Second, in.MessageAttributes, nil)
		}
	})
	if err == nil {
		err = missing
	}
	return &sqs.SendMessageOutput{}, err
}

// ReceiveMessage returns messages that are visible, and hides them.
func (q *Queues) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{}
	var missing error
	err := q.do("ReceiveMessage", func() {
		from, err := q.of(in.QueueUrl)
		if missing = err; err != nil {
			return
		}
		bodies := ""
		hide := max(30, in.VisibilityTimeout)
		for _, m := range from.messages {
			if len(out.Messages) == int(in.MaxNumberOfMessages) {
				break
			}
			if m.visibleAt.After(time.Now()) {
				continue
			}
			q.next++
			m.visibleAt, m.delayed, m.receipt = time.Now().Add(time.Duration(hide)*time.Second), false, fmt.Sprint("r-", q.next)
			bodies += m.body
			out.Messages = append(out.Messages, types.Message{
				MessageId: aws.String(m.id), Body: aws.String(m.body), ReceiptHandle: aws.String(m.receipt),
				Attributes: m.system, MessageAttributes: m.attributes,
			})
		}
		q.cost(bodies)
	})
	if err == nil {
		err = missing
	}
	return out, err
}

// DeleteMessage deletes a message that was received.
func (q *Queues) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	return &sqs.DeleteMessageOutput{}, q.do("DeleteMessage", func() {
		q.cost("")
		q.remove(*in.QueueUrl, *in.ReceiptHandle)
	})
}

// DeleteMessageBatch deletes several messages.
func (q *Queues) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	out := &sqs.DeleteMessageBatchOutput{}
	return out, q.do("DeleteMessageBatch", func() {
		q.cost("")
		for _, e := range in.Entries {
			if !q.remove(*in.QueueUrl, *e.ReceiptHandle) {
				out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("ReceiptHandleIsInvalid")})
			}
		}
	})
}

// remove deletes a message, and reports whether there was one with the receipt.
func (q *Queues) remove(url, receipt string) bool {
	from := q.queues[url]
	for i, m := range from.messages {
		if m.receipt == receipt {
			from.messages = append(from.messages[:i:i], from.messages[i+1:]...)
			return true
		}
	}
	return false
}

// ChangeMessageVisibility hides a message for another time.
func (q *Queues) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, q.do("ChangeMessageVisibility", func() {
		q.cost("")
		q.hide(*in.QueueUrl, *in.ReceiptHandle, in.VisibilityTimeout)
	})
}

// ChangeMessageVisibilityBatch does so for several messages.
func (q *Queues) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, q.do("ChangeMessageVisibilityBatch", func() {
		q.cost("")
		for _, e := range in.Entries {
			q.hide(*in.QueueUrl, *e.ReceiptHandle, e.VisibilityTimeout)
		}
	})
}

func (q *Queues) hide(url, receipt string, seconds int32) {
	for _, m := range q.queues[url].messages {
		if m.receipt == receipt {
			m.visibleAt = time.Now().Add(time.Duration(seconds) * time.Second)
		}
	}
}

// GetQueueAttributes counts messages exactly, and says when the queue was created.
func (q *Queues) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	out := &sqs.GetQueueAttributesOutput{}
	var missing error
	err := q.do("GetQueueAttributes", func() {
		from, err := q.of(in.QueueUrl)
		if missing = err; err != nil {
			return
		}
		q.cost("")
		var visible, hidden, delayed int
		for _, m := range from.messages {
			switch {
			case !m.visibleAt.After(time.Now()):
				visible++
			case m.delayed:
				delayed++
			default:
				hidden++
			}
		}
		out.Attributes = map[string]string{
			"ApproximateNumberOfMessages":           strconv.Itoa(visible),
			"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
			"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
			"CreatedTimestamp":                      strconv.FormatInt(from.created.Unix(), 10),
		}
	})
	if err == nil {
		err = missing
	}
	return out, err
}

// Parameters are SSM parameters by name.
type Parameters struct {
	*Calls
	Values map[string]string
}

// GetParametersByPath returns all parameters, as if all were below the path.
func (p *Parameters) GetParametersByPath(_ context.Context, in *ssm.GetParametersByPathInput, _ ...func(*ssm.Options)) (*ssm.GetParametersByPathOutput, error) {
	out := &ssm.GetParametersByPathOutput{}
	err := p.do("GetParametersByPath", func() {
		for name, value := range p.Values {
			out.Parameters = append(out.Parameters, ssmtypes.Parameter{Name: aws.String(*in.Path + "/" + name), Value: &value})
		}
	})
	return out, err
}

// HideFirst hides the first message of a queue, as a receiver does.
func (q *Queues) HideFirst(url string, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues[url].messages[0].visibleAt = time.Now().Add(d)
}

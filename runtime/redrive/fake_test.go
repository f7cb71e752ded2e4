package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const retention = 4 * 24 * time.Hour

// queues are queues in memory, by URL, with SQS's visibility timeout. Tests run them in a bubble's time.
type queues struct {
	mu       sync.Mutex
	messages map[string][]*stored
	nextID   int

	refuse        map[string]error // by URL: what SendMessage answers
	keepAll       error            // what DeleteMessage answers
	onSend        func()           // what happens while a message is sent
	miss          int              // how many receives overlook what is there
	countsNothing bool             // the approximate counts are 0
	deliverAgain  bool             // deleted messages come up once more
}

// stored is a message in a queue.
type stored struct {
	types.Message
	sent, visible time.Time
	deleted       bool
}

func newQueues() *queues {
	return &queues{messages: map[string][]*stored{}, refuse: map[string]error{}}
}

// add puts a message into a queue and returns it, for a test to change.
func (q *queues) add(url, body string, attributes map[string]string) *stored {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nextID++
	m := &stored{sent: time.Now(), visible: time.Now()}
	m.MessageId, m.Body = aws.String(fmt.Sprint("m-", q.nextID)), &body
	m.Attributes = map[string]string{"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10)}
	for name, value := range attributes {
		if m.MessageAttributes == nil {
			m.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		m.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	q.messages[url] = append(q.messages[url], m)
	return m
}

func (q *queues) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{Messages: q.take(in)}
	if len(out.Messages) == 0 {
		time.Sleep(time.Duration(in.WaitTimeSeconds) * time.Second)
	}
	return out, ctx.Err()
}

func (q *queues) take(in *sqs.ReceiveMessageInput) []types.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.miss > 0 {
		q.miss--
		return nil
	}
	var taken []types.Message
	for _, m := range q.messages[*in.QueueUrl] {
		if m.deleted || m.visible.After(time.Now()) || len(taken) == int(in.MaxNumberOfMessages) {
			continue
		}
		q.nextID++
		m.ReceiptHandle = aws.String(fmt.Sprint("r-", q.nextID))
		m.visible = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
		got := m.Message
		// Attributes come to those who ask for them.
		got.Attributes = map[string]string{}
		for _, name := range in.MessageSystemAttributeNames {
			if value, ok := m.Attributes[string(name)]; ok {
				got.Attributes[string(name)] = value
			}
		}
		taken = append(taken, got)
	}
	return taken
}

func (q *queues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if q.onSend != nil {
		q.onSend()
	}
	if err := q.refuse[*in.QueueUrl]; err != nil {
		return nil, err
	}
	m := q.add(*in.QueueUrl, *in.MessageBody, nil)
	m.MessageAttributes = maps.Clone(in.MessageAttributes)
	for name, value := range in.MessageSystemAttributes {
		m.Attributes[name] = *value.StringValue
	}
	return &sqs.SendMessageOutput{}, nil
}

// byHandle finds a message by its receipt handle; that of an earlier receive is not valid any more.
func (q *queues) byHandle(url, handle string) *stored {
	for _, m := range q.messages[url] {
		if aws.ToString(m.ReceiptHandle) == handle {
			return m
		}
	}
	return nil
}

func (q *queues) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.byHandle(*in.QueueUrl, *in.ReceiptHandle)
	if m == nil {
		return nil, errors.New("no such receipt handle")
	}
	if q.keepAll != nil {
		return nil, q.keepAll
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if q.deliverAgain {
		q.deliverAgain, m.visible = false, time.Now()
		return &sqs.DeleteMessageOutput{}, nil
	}
	m.deleted = true
	return &sqs.DeleteMessageOutput{}, nil
}

func (q *queues) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.byHandle(*in.QueueUrl, *in.ReceiptHandle)
	if m == nil {
		return nil, errors.New("no such receipt handle")
	}
	m.visible = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *queues) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	visible, hidden := 0, 0
	for _, m := range q.messages[*in.QueueUrl] {
		switch {
		case m.deleted || q.countsNothing:
		case m.visible.After(time.Now()):
			hidden++
		default:
			visible++
		}
	}
	all := map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
		"QueueArn": arnOf(*in.QueueUrl), "MessageRetentionPeriod": strconv.Itoa(int(retention / time.Second)),
	}
	out := &sqs.GetQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames {
		if value, ok := all[string(name)]; ok {
			out.Attributes[string(name)] = value
		}
	}
	return out, nil
}

func arnOf(url string) string { return "arn:aws:sqs:eu-central-1:000000000000:" + url }

func (q *queues) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) { //nolint:revive // the name is the SDK's
	if *in.QueueName == "gone" {
		return nil, &types.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: in.QueueName}, nil
}

func (q *queues) bodies(url string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []string
	for _, m := range q.messages[url] {
		if !m.deleted {
			all = append(all, *m.Body)
		}
	}
	return all
}

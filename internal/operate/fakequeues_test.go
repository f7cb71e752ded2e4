package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// fakeQueues are queues in memory, by URL, with SQS's visibility timeout. Tests run them in a bubble's time.
type fakeQueues struct {
	SQS
	mu       sync.Mutex
	messages map[string][]*fakeMessage
	nextID   int
	onSend   func()
	refuse   map[string]bool // ids of batch entries that SendMessageBatch refuses once
}

type fakeMessage struct {
	types.Message
	visible time.Time
	deleted bool
}

const queueURLs = "https://sqs.eu-central-1.amazonaws.com/111122223333/"

func queueARN(name string) string { return "arn:aws:sqs:eu-central-1:111122223333:" + name }

func newFakeQueues() *fakeQueues {
	return &fakeQueues{messages: map[string][]*fakeMessage{}, refuse: map[string]bool{}}
}

// add puts a message into a queue.
func (q *fakeQueues) add(url, body string, attributes map[string]string) *fakeMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nextID++
	m := &fakeMessage{visible: time.Now()}
	m.MessageId, m.Body = aws.String(fmt.Sprint("m-", q.nextID)), &body
	m.Attributes = map[string]string{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)}
	m.MessageAttributes = map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		m.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	q.messages[url] = append(q.messages[url], m)
	return m
}

func (q *fakeQueues) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	q.mu.Lock()
	var taken []types.Message
	for _, m := range q.messages[*in.QueueUrl] {
		if m.deleted || m.visible.After(time.Now()) || len(taken) == int(in.MaxNumberOfMessages) {
			continue
		}
		q.nextID++
		m.ReceiptHandle = aws.String(fmt.Sprint("r-", q.nextID))
		m.visible = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
		n, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		m.Attributes["ApproximateReceiveCount"] = strconv.Itoa(n + 1)
		got := m.Message
		got.Attributes = maps.Clone(m.Attributes)
		taken = append(taken, got)
	}
	q.mu.Unlock()
	if len(taken) == 0 {
		time.Sleep(time.Duration(in.WaitTimeSeconds) * time.Second)
	}
	return &sqs.ReceiveMessageOutput{Messages: taken}, ctx.Err()
}

func (q *fakeQueues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if q.onSend != nil {
		q.onSend()
	}
	q.add(*in.QueueUrl, *in.MessageBody, nil).MessageAttributes = in.MessageAttributes
	return &sqs.SendMessageOutput{}, nil
}

func (q *fakeQueues) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if q.onSend != nil {
		q.onSend()
	}
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		if q.refuse[*e.Id] {
			delete(q.refuse, *e.Id)
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError")})
			continue
		}
		q.add(*in.QueueUrl, *e.MessageBody, nil)
	}
	return out, nil
}

func (q *fakeQueues) byHandle(url, handle string) *fakeMessage {
	for _, m := range q.messages[url] {
		if aws.ToString(m.ReceiptHandle) == handle {
			return m
		}
	}
	return &fakeMessage{}
}

func (q *fakeQueues) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.byHandle(*in.QueueUrl, *in.ReceiptHandle).deleted = true
	return &sqs.DeleteMessageOutput{}, nil
}

func (q *fakeQueues) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.byHandle(*in.QueueUrl, *in.ReceiptHandle).visible = time.Now().Add(time.Duration(in.VisibilityTimeout) * time.Second)
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (q *fakeQueues) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(in.Entries) > 10 {
		return nil, errors.New("too many entries")
	}
	for _, e := range in.Entries {
		q.byHandle(*in.QueueUrl, *e.ReceiptHandle).visible = time.Now().Add(time.Duration(e.VisibilityTimeout) * time.Second)
	}
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

func (q *fakeQueues) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	visible, hidden := q.counts(*in.QueueUrl)
	all := map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(visible), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden),
		"QueueArn": queueARN(queueName(*in.QueueUrl)), "MessageRetentionPeriod": strconv.Itoa(4 * 24 * 3600),
	}
	out := &sqs.GetQueueAttributesOutput{Attributes: map[string]string{}}
	for _, name := range in.AttributeNames {
		if value, ok := all[string(name)]; ok {
			out.Attributes[string(name)] = value
		}
	}
	return out, nil
}

func (q *fakeQueues) counts(url string) (visible, hidden int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages[url] {
		switch {
		case m.deleted:
		case m.visible.After(time.Now()):
			hidden++
		default:
			visible++
		}
	}
	return visible, hidden
}

func (q *fakeQueues) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) { //nolint:revive // the name is the SDK's
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(queueURLs + *in.QueueName)}, nil
}

// events are the ids of the events in a queue, in order.
func (q *fakeQueues) events(name string) (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages[queueURLs+name] {
		if event, err := record.Decode([]byte(*m.Body)); err == nil && !m.deleted {
			ids = append(ids, event.ID)
		}
	}
	return ids
}

// body is the message body of one version of an order.
func body(order string, version int) string {
	return fmt.Sprintf(`{"detail-type":"OrderUpdated","source":"orders","detail":{"id":"%[1]s-%[2]d","type":"OrderUpdated",`+
		`"aggregateType":"Order","aggregateId":"%[1]s","version":"%[2]d","occurredAt":"%[3]d","data":{"S":"{\"note\":\"a\\u001bb\"}"},`+
		`"traceparent":{"S":""},"correlationId":"c","causationId":{"S":""}}}`, order, version, time.Now().UnixMilli())
}

// failedOf is what the inbox notes on a message that failed for good.
func failedOf(consumer, queue, reason string) map[string]string {
	return map[string]string{inbox.ConsumerAttribute: consumer, inbox.QueueAttribute: queueARN(queue), inbox.ReasonAttribute: reason}
}

// notDelivered is what EventBridge notes on an event that it could not put into a queue.
func notDelivered(queue string) map[string]string {
	return map[string]string{"TARGET_ARN": queueARN(queue), "ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "access denied"}
}

// watched is a stack with an ordered consumer, two others that share a dead-letter queue, the rules' and the pipe's.
func watched() *Stack {
	box := &Outbox{}
	box.Path, box.Source, box.Table, box.Bus = "Orders/Outbox", "orders", "Events", "bus"
	box.PipeDeadLetterQueue, box.RuleDeadLetterQueue = queueURLs+"pipe-dlq", queueURLs+"rules-dlq"
	s := &Stack{Name: "Orders", Outboxes: []*Outbox{box}}
	for id, dlq := range map[string]string{"History": "history-dlq", "Bill": "shared-dlq", "Ship": "shared-dlq"} {
		c := &Consumer{Outbox: box}
		c.ID, c.Name, c.Inbox, c.MaxReceiveCount = id, "Orders/Outbox/"+id, "TABLE", "5"
		c.Queue, c.DeadLetterQueue, c.RuleDeadLetterQueue = queueURLs+strings.ToLower(id), queueURLs+dlq, box.RuleDeadLetterQueue
		c.Ordered, c.MemorySeconds = id == "History", map[bool]string{true: "", false: "864000"}[id == "History"]
		s.Consumers = append(s.Consumers, c)
	}
	byLabel(s.Consumers)
	box.Consumers = s.Consumers
	return s
}

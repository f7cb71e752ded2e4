package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// queues are queues in memory, by URL. A message that was received stays hidden.
type queues struct {
	messages map[string][]types.Message
	refuse   map[string]error // by URL: what SendMessage answers
	onSend   func()
	nextID   int
}

func newQueues() *queues {
	return &queues{messages: map[string][]types.Message{}, refuse: map[string]error{}}
}

func (q *queues) add(url, body string, attributes map[string]string) {
	q.nextID++
	m := types.Message{MessageId: aws.String(fmt.Sprint("m-", q.nextID)), ReceiptHandle: aws.String(fmt.Sprint("r-", q.nextID)), Body: &body}
	for name, value := range attributes {
		if m.MessageAttributes == nil {
			m.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		m.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	q.messages[url] = append(q.messages[url], m)
}

const hidden = "hidden"

func (q *queues) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out := &sqs.ReceiveMessageOutput{}
	for i := range q.messages[*in.QueueUrl] {
		m := &q.messages[*in.QueueUrl][i]
		if m.Attributes[hidden] == "" && len(out.Messages) < int(in.MaxNumberOfMessages) {
			m.Attributes = map[string]string{hidden: "yes"}
			out.Messages = append(out.Messages, *m)
		}
	}
	return out, nil
}

func (q *queues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if q.onSend != nil {
		q.onSend()
	}
	if err := q.refuse[*in.QueueUrl]; err != nil {
		return nil, err
	}
	attributes := map[string]string{}
	for name, value := range in.MessageAttributes {
		attributes[name] = *value.StringValue
	}
	q.add(*in.QueueUrl, *in.MessageBody, attributes)
	return &sqs.SendMessageOutput{}, nil
}

func (q *queues) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	before := len(q.messages[*in.QueueUrl])
	q.messages[*in.QueueUrl] = slices.DeleteFunc(q.messages[*in.QueueUrl], func(m types.Message) bool { return *m.ReceiptHandle == *in.ReceiptHandle })
	if len(q.messages[*in.QueueUrl]) == before {
		return nil, errors.New("no such receipt handle")
	}
	return &sqs.DeleteMessageOutput{}, nil
}

func (q *queues) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	visible := 0
	for _, m := range q.messages[*in.QueueUrl] {
		if m.Attributes[hidden] == "" {
			visible++
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"ApproximateNumberOfMessages": strconv.Itoa(visible)}}, nil
}

func (q *queues) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) { //nolint:revive // the name is the SDK's
	if *in.QueueName == "gone" {
		return nil, &types.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: in.QueueName}, nil
}

func (q *queues) bodies(url string) []string {
	var all []string
	for _, m := range q.messages[url] {
		all = append(all, *m.Body)
	}
	return all
}

func TestConsumer(t *testing.T) {
	q := newQueues()
	var want []string
	for n := range 25 { // more than one receive
		body := fmt.Sprint("event ", n)
		want = append(want, body)
		q.add("dlq", body, map[string]string{inbox.ReasonAttribute: "it failed", inbox.ConsumerAttribute: "c", "tenant": "t-1"})
	}
	report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", "queue")
	if err != nil {
		t.Fatal(err)
	}
	if report.Redriven != 25 || len(report.Kept) != 0 {
		t.Errorf("report is %+v, want 25 redriven", report)
	}
	if got := q.bodies("queue"); !slices.Equal(got, want) {
		t.Errorf("the queue has %v, want %v", got, want)
	}
	if left := q.bodies("dlq"); len(left) != 0 {
		t.Errorf("the dead-letter queue still has %v", left)
	}
	for _, m := range q.messages["queue"] {
		if len(m.MessageAttributes) != 1 || *m.MessageAttributes["tenant"].StringValue != "t-1" {
			t.Fatalf("attributes are %v, want those of the message without those of the failure", m.MessageAttributes)
		}
	}
}

func TestConsumerStopsWhereItBegan(t *testing.T) {
	q := newQueues()
	q.add("dlq", "never handled", nil)
	// The consumer fails for good, and the letter comes back at once.
	q.onSend = func() { q.add("dlq", "never handled", nil) }
	report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", "queue")
	if err != nil || report.Redriven != 1 {
		t.Errorf("report is %+v (%v), want the one letter that was there", report, err)
	}
	if left := q.bodies("dlq"); len(left) != 1 {
		t.Errorf("the dead-letter queue has %v, want the one that came back", left)
	}
}

func TestWhatIsNotAcceptedStays(t *testing.T) {
	q := newQueues()
	q.add("dlq", "event", nil)
	q.refuse["queue"] = errors.New("over quota")
	report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", "queue")
	if err != nil || len(report.Kept) != 1 || !strings.Contains(report.Kept[0].Err.Error(), "over quota") {
		t.Errorf("report is %+v (%v), want one letter kept, and why", report, err)
	}
	if left := q.bodies("dlq"); len(left) != 1 {
		t.Errorf("the dead-letter queue has %v, want the letter", left)
	}
}

func TestConsumerRefusesFIFO(t *testing.T) {
	if _, err := redrive.New(redrive.Clients{SQS: newQueues()}).Consumer(t.Context(), "dlq.fifo", "queue.fifo"); err == nil {
		t.Error("a FIFO queue was accepted: the order of its groups would be lost")
	}
}

func TestRule(t *testing.T) {
	q := newQueues()
	target := func(arn string) map[string]string {
		return map[string]string{"TARGET_ARN": arn, "RULE_ARN": "arn:aws:events:eu-central-1:1:rule/b/r", "ERROR_CODE": "NO_PERMISSIONS"}
	}
	q.add("dlq", "for one", target("arn:aws:sqs:eu-central-1:1:one"))
	q.add("dlq", "for two", target("arn:aws:sqs:eu-central-1:1:two"))
	q.add("dlq", "for a bus", target("arn:aws:events:eu-central-1:1:event-bus/other"))
	q.add("dlq", "for a queue that is gone", target("arn:aws:sqs:eu-central-1:1:gone"))
	q.add("dlq", "for nobody", nil)
	report, err := redrive.New(redrive.Clients{SQS: q}).Rule(t.Context(), "dlq")
	if err != nil || report.Redriven != 2 || len(report.Kept) != 3 {
		t.Errorf("report is %+v (%v), want 2 redriven and 3 kept", report, err)
	}
	if one, two := q.bodies("one"), q.bodies("two"); !slices.Equal(one, []string{"for one"}) || !slices.Equal(two, []string{"for two"}) {
		t.Errorf("queue one has %v, queue two %v", one, two)
	}
	if n := len(q.messages["one"][0].MessageAttributes); n != 0 {
		t.Errorf("the message has %d attributes, want it as the rule would have sent it", n)
	}
	for i, says := range []string{"event-bus/other", "gone", `""`} {
		if !strings.Contains(report.Kept[i].Err.Error(), says) {
			t.Errorf("kept: %v, want it to name %s", report.Kept[i].Err, says)
		}
	}
}

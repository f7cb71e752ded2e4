package queues

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

const deadARN = "arn:aws:sqs:eu-west-1:000000000000:Dead"

// receiveMany returns up to ten messages, with all attributes.
func receiveMany(t *testing.T, s *Service, url string, wait int32) []types.Message {
	t.Helper()
	out, err := s.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, WaitTimeSeconds: wait, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func bodies(messages []types.Message) string {
	var all []string
	for _, m := range messages {
		all = append(all, *m.Body)
	}
	return strings.Join(all, " ")
}

func sendToGroup(t *testing.T, s *Service, url, group string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		_, err := s.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &body})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, s *Service, url string, m types.Message) error {
	t.Helper()
	_, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
	return err
}

func show(t *testing.T, s *Service, url string, messages ...types.Message) {
	t.Helper()
	for _, m := range messages {
		_, err := s.client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A receive gives as many messages of a group as fit. The group stays locked until all of them are deleted or visible
// again, and what is given back keeps its order.
func TestFIFOGroups(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", map[string]any{"FifoQueue": true})
	sendToGroup(t, s, url, "a", "a1", "a2", "a3", "a4")
	sendToGroup(t, s, url, "b", "b1")
	first := receiveMany(t, s, url, 0)
	if got := bodies(first); got != "a1 a2 a3 a4 b1" {
		t.Fatalf("received %s", got)
	}
	sendToGroup(t, s, url, "a", "a5")
	if err := remove(t, s, url, first[0]); err != nil {
		t.Fatal(err)
	}
	show(t, s, url, first[1], first[2])
	if got := receiveMany(t, s, url, 0); len(got) > 0 {
		t.Errorf("received %s while a4 is in flight", bodies(got))
	}
	show(t, s, url, first[3])
	if got := bodies(receiveMany(t, s, url, 0)); got != "a2 a3 a4 a5" {
		t.Errorf("received %s, want what was given back in its order", got)
	}
}

func TestFIFOOrderAfterTimeoutAndRestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	properties := map[string]any{"FifoQueue": true, "VisibilityTimeout": 1}
	url := queue(t, s, "Orders", properties)
	var want []string
	for i := range 9 {
		want = append(want, fmt.Sprint("m", i))
	}
	sendToGroup(t, s, url, "a", want...)
	for _, wait := range []int32{0, 10} { // the second time after the timeout
		if got := bodies(receiveMany(t, s, url, wait)); got != strings.Join(want, " ") {
			t.Errorf("received %s", got)
		}
	}
	s.Close()
	s = start(t, dir)
	url = queue(t, s, "Orders", properties)
	if got := bodies(receiveMany(t, s, url, 10)); got != strings.Join(want, " ") {
		t.Errorf("received %s after a restart", got)
	}
}

// A FIFO queue gives at most ten, and the poison message of a group ends in the dead-letter queue alone.
func TestFIFODeadLetter(t *testing.T) {
	s := start(t, t.TempDir())
	dead := queue(t, s, "Dead", map[string]any{"FifoQueue": true})
	url := queue(t, s, "Orders", map[string]any{"FifoQueue": true, "RedrivePolicy": map[string]any{"deadLetterTargetArn": deadARN + ".fifo", "maxReceiveCount": 1}})
	for i := range 12 {
		sendToGroup(t, s, url, "a", fmt.Sprint(i))
	}
	first := receiveMany(t, s, url, 0)
	if len(first) != 10 {
		t.Fatalf("received %s", bodies(first))
	}
	for _, m := range first[1:] {
		if err := remove(t, s, url, m); err != nil {
			t.Fatal(err)
		}
	}
	show(t, s, url, first[0])
	if got := bodies(receiveMany(t, s, url, 0)); got != "10 11" {
		t.Errorf("received %s", got)
	}
	if got := bodies(receiveMany(t, s, dead, 0)); got != "0" {
		t.Errorf("dead letters %s", got)
	}
}

func TestExpiredReceiptHandle(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", map[string]any{"FifoQueue": true, "VisibilityTimeout": 1})
	sendToGroup(t, s, url, "a", "a1", "a2")
	old := receiveMany(t, s, url, 0)
	again := receiveMany(t, s, url, 10)
	if bodies(again) != "a1 a2" {
		t.Fatalf("received %s", bodies(again))
	}
	var refusal smithy.APIError
	if err := remove(t, s, url, old[0]); !errors.As(err, &refusal) || refusal.ErrorCode() != "InvalidParameterValue" || !strings.Contains(refusal.ErrorMessage(), "expired") {
		t.Errorf("DeleteMessage: %v", err)
	}
	out, err := s.client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("old"), ReceiptHandle: old[0].ReceiptHandle}, {Id: aws.String("new"), ReceiptHandle: again[1].ReceiptHandle},
	}})
	if err != nil || len(out.Successful) != 1 || *out.Successful[0].Id != "new" || len(out.Failed) != 1 || *out.Failed[0].Code != "InvalidParameterValue" {
		t.Errorf("DeleteMessageBatch: %+v, %v", out, err)
	}
	time.Sleep(1100 * time.Millisecond)
	var notInFlight *types.MessageNotInflight
	_, err = s.client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: again[0].ReceiptHandle, VisibilityTimeout: 30})
	if !errors.As(err, &notInFlight) {
		t.Errorf("ChangeMessageVisibility: %v", err)
	}
	if got := bodies(receiveMany(t, s, url, 0)); got != "a1" {
		t.Errorf("received %s", got)
	}
}

// The attributes of a message survive its move to the dead-letter queue, and a restart.
func TestAttributesOfADeadLetter(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	queue(t, s, "Dead", nil)
	url := queue(t, s, "Orders", map[string]any{"RedrivePolicy": map[string]any{"deadLetterTargetArn": deadARN, "maxReceiveCount": 2}})
	const trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
	entry := func(id string, traced bool) types.SendMessageBatchRequestEntry {
		e := types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &id, MessageGroupId: aws.String("group-" + id)}
		if traced {
			e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(trace)}}
		}
		return e
	}
	_, err := s.client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{entry("plain", false), entry("traced", true)}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		got := receiveMany(t, s, url, 0)
		if len(got) != 2 {
			t.Fatalf("receive %d: %s", n, bodies(got))
		}
		for _, m := range got {
			if m.Attributes["MessageGroupId"] != "group-"+*m.Body || (m.Attributes["AWSTraceHeader"] == trace) != (*m.Body == "traced") ||
				m.Attributes["ApproximateReceiveCount"] != fmt.Sprint(n+1) || m.Attributes["DeadLetterQueueSourceArn"] != "" {
				t.Errorf("%s has %v", *m.Body, m.Attributes)
			}
		}
		show(t, s, url, got...)
	}
	if got := receiveMany(t, s, url, 0); len(got) > 0 {
		t.Errorf("received %s a third time", bodies(got))
	}
	s.Close()
	s = start(t, dir)
	dead := receiveMany(t, s, queue(t, s, "Dead", nil), 0)
	if len(dead) != 2 {
		t.Fatalf("dead letters %s", bodies(dead))
	}
	for _, m := range dead {
		if m.Attributes["MessageGroupId"] != "group-"+*m.Body || (m.Attributes["AWSTraceHeader"] == trace) != (*m.Body == "traced") ||
			m.Attributes["ApproximateReceiveCount"] != "3" || m.Attributes["DeadLetterQueueSourceArn"] != "arn:aws:sqs:eu-west-1:000000000000:Orders" {
			t.Errorf("the dead letter %s has %v", *m.Body, m.Attributes)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", nil)
	codeOf := func(err error) string {
		var refusal smithy.APIError
		if errors.As(err, &refusal) {
			return refusal.ErrorCode()
		}
		return fmt.Sprint(err)
	}
	_, err := s.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 11})
	if got := codeOf(err); got != "InvalidParameterValue" {
		t.Errorf("code %q of a value", got)
	}
	_, err = s.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("Nope")})
	if got := codeOf(err); got != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("code %q of a missing queue", got)
	}
}

// A queue that somebody has made in the run has the policy that they gave it.
func TestPolicyOfAQueueOutsideOfTheTemplate(t *testing.T) {
	s := start(t, t.TempDir())
	arn := "arn:aws:sqs:eu-west-1:000000000000:mine"
	made, err := s.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("mine")})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Exists(arn) || s.Exists(arn+"2") {
		t.Error("the queue is there, and no other")
	}
	if s.Allows(arn, bus, ruleARN) {
		t.Error("a queue without a policy lets the bus in")
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":%q},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}}`, bus, arn, ruleARN)
	if _, err := s.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		t.Fatal(err)
	}
	if !s.Allows(arn, bus, ruleARN) {
		t.Error("its policy lets the bus in, and it is refused")
	}
	if s.Allows(arn, bus, ruleARN+"2") {
		t.Error("its policy does not let another rule in")
	}
}

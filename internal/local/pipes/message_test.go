package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const functionARN = "arn:aws:lambda:eu-central-1:000000000000:function:"

// A fromRealQueue is a pipe behind a real queue; its targets are fakes.
type fromRealQueue struct {
	t       *testing.T
	aws     *fakeAWS
	cloud   *cloud.Cloud
	url     string
	dead    string // URL of the queue's dead-letter queue
	hops    chan hop.Hop
	service *Service
}

// startQueuePipe starts a pipe from a queue, which is of the kind that its properties say, changed by a JSON merge patch.
func startQueuePipe(t *testing.T, queue map[string]any, patch string) *fromRealQueue {
	t.Helper()
	s := &fromRealQueue{t: t, cloud: cloud.New("eu-central-1"), hops: make(chan hop.Hop, 1000)}
	s.aws = startFakeAWS(t, s.cloud)
	s.aws.functions = map[string]func(string) (string, bool){}
	q, err := queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	provision := func(name string, properties map[string]any) template.Attributes {
		made, err := q.Provisions()["AWS::SQS::Queue"](t.Context(), template.Resource{LogicalID: name, PhysicalName: name, Properties: properties})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	dead := provision("Dead", nil)
	if queue["FifoQueue"] == nil {
		queue["RedrivePolicy"] = map[string]any{"deadLetterTargetArn": dead.GetAtt["Arn"], "maxReceiveCount": 2}
	}
	made := provision("Orders", queue)
	s.url, s.dead = made.Ref, dead.Ref
	s.service = New(Config{Cloud: s.cloud, DB: openDB(t), Sink: func(h hop.Hop) { s.hops <- h }})
	r := pipeResource(t, `{"SourceParameters": {"DynamoDBStreamParameters": null, "FilterCriteria": null}, "TargetParameters": null}`)
	r.Properties["Source"] = made.GetAtt["Arn"]
	var change map[string]any
	if err := json.Unmarshal([]byte(patch), &change); err != nil {
		t.Fatal(err)
	}
	merge(r.Properties, change)
	if _, err := s.service.Provisions()["AWS::Pipes::Pipe"](t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the pipe until the end of the test.
func (s *fromRealQueue) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.service.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

func (s *fromRealQueue) send(in ...*sqs.SendMessageInput) {
	s.t.Helper()
	for _, m := range in {
		m.QueueUrl = &s.url
		if _, err := s.cloud.SQS().SendMessage(s.t.Context(), m); err != nil {
			s.t.Fatal(err)
		}
	}
}

func body(text string) *sqs.SendMessageInput { return &sqs.SendMessageInput{MessageBody: &text} }

// await returns the next hop with an outcome.
func (s *fromRealQueue) await(outcome hop.Outcome) hop.Hop {
	s.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case h := <-s.hops:
			if h.Outcome == outcome {
				return h
			}
		case <-timeout:
			s.t.Fatalf("no hop %s came; invocations %q", outcome, s.aws.invocations)
		}
	}
}

// left returns the number of messages in a queue: visible, then in flight.
func (s *fromRealQueue) left(url string) string {
	s.t.Helper()
	out, err := s.cloud.SQS().GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func TestQueueToBus(t *testing.T) {
	s := startQueuePipe(t, map[string]any{}, `{
		"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "{\"body\":{\"kind\":[\"new\"]},\"messageAttributes\":{\"region\":{\"stringValue\":[\"eu\"]}}}"}]}},
		"TargetParameters": {"EventBridgeEventBusParameters": {"Source": "$.body.source"}, "InputTemplate": "{\"order\": <$.body.order>, \"by\": \"<$.attributes.SenderId>\"}"}
	}`)
	message := func(text, region string) *sqs.SendMessageInput {
		return &sqs.SendMessageInput{MessageBody: &text, MessageAttributes: map[string]types.MessageAttributeValue{
			"region": {DataType: aws.String("String"), StringValue: &region},
		}}
	}
	s.send(message(`{"kind":"new","order":{"n":1.50},"source":"orders","detail":{"id":"e1"}}`, "eu"),
		message(`{"kind":"new","source":"orders"}`, "us"), message(`{"kind":"old"}`, "eu"), message(`new`, "eu"))
	s.run()
	h := s.await(hop.OK)
	if h.Stage != hop.Pipe || h.Resource != "OutboxPipe" || h.Count != 1 || !slices.Equal(h.EventIDs, []string{"e1"}) {
		t.Errorf("hop %+v", h)
	}
	e := s.aws.events[0]
	if e.Source != "orders" || e.DetailType != "Event from aws:sqs" || e.Detail != `{"order": {"n":1.50}, "by": "000000000000"}` {
		t.Errorf("event %+v", e)
	}
	s.aws.await(t, "the deletion of what the filter left out", func() bool { return s.left(s.url) == "0+0" })
	if got := s.left(s.dead); len(s.aws.events) != 1 || got != "0+0" {
		t.Errorf("%d events, %s messages in the dead-letter queue", len(s.aws.events), got)
	}
}

// What the target refuses comes back alone and is moved by the queue's own redrive policy; what it accepts is deleted.
func TestRefusedMessageGoesToTheQueuesDeadLetterQueue(t *testing.T) {
	s := startQueuePipe(t, map[string]any{"VisibilityTimeout": 1}, `{"TargetParameters": {"InputTemplate": "{\"text\": <$.body>}"}}`)
	s.aws.refuse = func(e entry) string {
		if strings.Contains(e.Detail, "bad") {
			return "InvalidArgument"
		}
		return ""
	}
	s.send(body("good"), body("bad"))
	s.run()
	for range 2 {
		h := s.await(hop.Retry)
		if h.Count != 1 || !strings.Contains(h.Detail, "1 of ") || !strings.Contains(h.Detail, "InvalidArgument") {
			t.Errorf("hop %+v", h)
		}
	}
	for s.left(s.dead) != "1+0" { // the next receive moves it
		s.aws.await(t, "the move", func() bool { return s.left(s.dead) == "1+0" || true })
	}
	if got := s.left(s.url); got != "0+0" || len(s.aws.events) != 1 {
		t.Errorf("%s messages are left, %d events", got, len(s.aws.events))
	}
}

// A function gets a list, names what it has failed on, and gets that again.
func TestQueueToFunction(t *testing.T) {
	s := startQueuePipe(t, map[string]any{"VisibilityTimeout": 3}, `{
		"SourceParameters": {"SqsQueueParameters": {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 1}},
		"Target": "`+functionARN+`f", "TargetParameters": null
	}`)
	broken, reported := true, false
	s.aws.functions["f"] = func(payload string) (string, bool) {
		var batch []struct{ MessageID, Body string }
		json.Unmarshal([]byte(payload), &batch)
		if broken {
			broken = false
			return `{"errorMessage":"boom"}`, true
		}
		for _, m := range batch {
			if m.Body == "b" && !reported {
				reported = true
				return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, m.MessageID), false
			}
		}
		return `null`, false
	}
	s.send(body("a"), body("b"))
	s.run()
	if h := s.await(hop.Retry); !strings.Contains(h.Detail, ` failed: the function failed: {"errorMessage":"boom"}`) {
		t.Errorf("hop %+v", h)
	}
	if h := s.await(hop.Retry); !strings.Contains(h.Detail, "failed: batchItemFailures") {
		t.Errorf("hop %+v", h)
	}
	if got := s.aws.invocations[0]; !strings.HasPrefix(got, `f RequestResponse [{"attributes":{`) {
		t.Errorf("invocation %s", got)
	}
}

func TestFunctionThatNobodyWaitsFor(t *testing.T) {
	s := startQueuePipe(t, map[string]any{}, `{
		"Target": "`+functionARN+`f", "TargetParameters": {"LambdaFunctionParameters": {"InvocationType": "FIRE_AND_FORGET"}, "InputTemplate": "{\"b\": <$.body>}"}
	}`)
	s.send(body(`{"x":1}`))
	s.run()
	s.await(hop.OK)
	if got := s.aws.invocations; !slices.Equal(got, []string{`f Event [{"b": {"x":1}}]`}) || s.left(s.url) != "0+0" {
		t.Errorf("invocations %q, left %s", got, s.left(s.url))
	}
}

// The order of a group is kept, and groups do not wait for each other.
func TestFIFOQueueToQueue(t *testing.T) {
	s := startQueuePipe(t, map[string]any{"FifoQueue": true}, `{"Target": "`+functionARN+`f", "TargetParameters": {"InputTemplate": "\"<$.attributes.MessageGroupId><$.body>\""}}`)
	for n := range 12 {
		for _, group := range []string{"g", "h"} {
			m := body(fmt.Sprint(n))
			m.MessageGroupId, m.MessageDeduplicationId = &group, aws.String(fmt.Sprint(group, n))
			s.send(m)
		}
	}
	s.run()
	for got := 0; got < 24; {
		got += s.await(hop.OK).Count
	}
	last := map[byte]int{'g': -1, 'h': -1}
	for _, call := range s.aws.invocations {
		var batch []string
		json.Unmarshal([]byte(strings.TrimPrefix(call, "f RequestResponse ")), &batch)
		for _, text := range batch {
			var n int
			fmt.Sscan(text[1:], &n)
			if n != last[text[0]]+1 {
				t.Errorf("group %c: %d after %d", text[0], n, last[text[0]])
			}
			last[text[0]] = n
		}
	}
}

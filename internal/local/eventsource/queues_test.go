package eventsource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A record holds the fields of a record that these tests check.
type record struct {
	MessageID         string
	Body              string
	Attributes        map[string]string
	MessageAttributes map[string]struct{ StringValue, DataType string }
	MD5OfBody         string
	EventSource       string
	EventSourceARN    string
	AWSRegion         string
}

// queueWithFunction is an event source mapping behind a real queue.
type queueWithFunction struct {
	cloud *cloud.Cloud
	url   string
	hops  chan hop.Hop
}

// start provisions a queue with a dead-letter queue, and an event source mapping from it to the function.
func start(t *testing.T, queue map[string]any, function func([]record) string) *queueWithFunction {
	t.Helper()
	s := &queueWithFunction{cloud: cloud.New("eu-west-1"), hops: make(chan hop.Hop, 1000)}
	q, err := queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	made := provision(t, q.Provisions()["AWS::SQS::Queue"], template.Resource{PhysicalName: "Orders", Properties: queue})
	s.url = made.Ref
	m := eventsource.New(eventsource.Config{
		Cloud: s.cloud,
		Sink:  func(h hop.Hop) { s.hops <- h },
		Invoke: func(_ context.Context, arn string, payload []byte) ([]byte, error) {
			var event struct{ Records []record }
			if err := json.Unmarshal(payload, &event); err != nil {
				t.Errorf("payload for %s: %v", arn, err)
			}
			return []byte(function(event.Records)), nil
		},
	})
	provision(t, m.Provisions()["AWS::Lambda::EventSourceMapping"], template.Resource{LogicalID: "Mapping", PhysicalName: "m", Properties: map[string]any{
		"EventSourceArn": made.GetAtt["Arn"], "FunctionName": "publisher", "FunctionResponseTypes": []any{"ReportBatchItemFailures"},
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stopped := time.Now()
		cancel()
		<-ended
		if took := time.Since(stopped); took > time.Second {
			t.Errorf("Run took %v to return", took)
		}
	})
	return s
}

func provision(t *testing.T, p template.Provision, r template.Resource) template.Attributes {
	t.Helper()
	attributes, err := p(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return attributes
}

func (s *queueWithFunction) send(t *testing.T, in *sqs.SendMessageInput) {
	t.Helper()
	in.QueueUrl = &s.url
	if _, err := s.cloud.SQS().SendMessage(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// count returns the number of messages in the queue: visible, then in flight.
func (s *queueWithFunction) count(t *testing.T) string {
	t.Helper()
	out, err := s.cloud.SQS().GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &s.url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func TestRecordFromARealQueue(t *testing.T) {
	got := make(chan record, 1)
	s := start(t, nil, func(records []record) string {
		got <- records[0]
		return ""
	})
	s.send(t, &sqs.SendMessageInput{
		MessageBody:       aws.String(`{"detail":{"id":"e1"}}`),
		MessageAttributes: map[string]types.MessageAttributeValue{"RULE_ARN": {DataType: aws.String("String"), StringValue: aws.String("arn")}},
	})
	r := <-got
	if r.Body != `{"detail":{"id":"e1"}}` || r.MessageID == "" || r.MD5OfBody == "" || r.EventSource != "aws:sqs" ||
		r.EventSourceARN != "arn:aws:sqs:eu-west-1:000000000000:Orders" || r.AWSRegion != "eu-west-1" ||
		r.Attributes["ApproximateReceiveCount"] != "1" || r.Attributes["SentTimestamp"] == "" || r.Attributes["SenderId"] == "" ||
		r.Attributes["ApproximateFirstReceiveTimestamp"] == "" || r.MessageAttributes["RULE_ARN"].StringValue != "arn" {
		t.Errorf("record %+v", r)
	}
	if h := <-s.hops; h.Outcome != hop.OK || len(h.EventIDs) != 1 || h.EventIDs[0] != "e1" {
		t.Errorf("hop %+v", h)
	}
	if left := s.count(t); left != "0+0" {
		t.Errorf("the queue has %s messages", left)
	}
}

func TestOnlyTheFailedMessageComesBack(t *testing.T) {
	seen := make(chan string, 10)
	var failed atomic.Bool
	s := start(t, map[string]any{"VisibilityTimeout": 1}, func(records []record) string {
		response := ""
		for _, r := range records {
			seen <- r.Body + r.Attributes["ApproximateReceiveCount"]
			if r.Body == "bad" && !failed.Swap(true) {
				response = `{"batchItemFailures":[{"itemIdentifier":"` + r.MessageID + `"}]}`
			}
		}
		return response
	})
	for _, body := range []string{"good", "bad"} {
		s.send(t, &sqs.SendMessageInput{MessageBody: &body})
	}
	times := map[string]int{}
	for range 3 {
		times[<-seen]++
	}
	if times["good1"] != 1 || times["bad1"] != 1 || times["bad2"] != 1 {
		t.Errorf("seen %v", times)
	}
}

func TestFIFOOrder(t *testing.T) {
	seen := make(chan string, 100)
	s := start(t, map[string]any{"FifoQueue": true}, func(records []record) string {
		for _, r := range records {
			seen <- r.Attributes["MessageGroupId"] + r.Body
		}
		return ""
	})
	const groups, messages = 3, 10
	for i := range messages {
		for g := range groups {
			id := fmt.Sprint(g, "-", i)
			s.send(t, &sqs.SendMessageInput{MessageBody: aws.String(fmt.Sprint(i)), MessageGroupId: aws.String(fmt.Sprint("g", g, ":")), MessageDeduplicationId: &id})
		}
	}
	next := map[string]int{}
	for range groups * messages {
		var group string
		var n int
		text := <-seen
		if _, err := fmt.Sscanf(text, "g%1s:%d", &group, &n); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if n != next[group] {
			t.Errorf("group %s: message %d came, want %d", group, n, next[group])
		}
		next[group] = n + 1
	}
}

// TestLatency checks that a visible message reaches the function in about the time of one round trip.
func TestLatency(t *testing.T) {
	got := make(chan time.Time, 1)
	s := start(t, nil, func([]record) string {
		got <- time.Now()
		return ""
	})
	best := time.Hour
	for range 10 {
		sent := time.Now()
		s.send(t, &sqs.SendMessageInput{MessageBody: aws.String("x")})
		best = min(best, (<-got).Sub(sent))
	}
	if best > 50*time.Millisecond {
		t.Errorf("the quickest of ten took %v", best)
	}
	t.Logf("the quickest of ten took %v", best)
}

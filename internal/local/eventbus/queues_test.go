package eventbus_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// ofQueues are the policies of queues, and roles that may do everything.
type ofQueues struct{ *queues.Service }

func (ofQueues) RoleAllows(_, _, _, _ string) bool { return true }

// busWithQueues is a bus whose rules send to real queues.
type busWithQueues struct {
	cloud  *cloud.Cloud
	events *eventbus.Service
	hops   chan hop.Hop
}

// start starts queues and buses and provisions the resources in the given order.
func start(t testing.TB, resources ...template.Resource) *busWithQueues {
	t.Helper()
	dir := t.TempDir()
	s := &busWithQueues{cloud: cloud.New("eu-west-1"), hops: make(chan hop.Hop, 100_000)}
	q, err := queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	db, err := bbolt.Open(filepath.Join(dir, "j.db"), 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.events, err = eventbus.New(eventbus.Config{Cloud: s.cloud, DB: db, Policies: ofQueues{q}, QueueExists: q.Exists, Sink: func(h hop.Hop) { s.hops <- h }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.events.Close)
	for _, r := range resources {
		provision := q.Provisions()[r.Type]
		if provision == nil {
			provision = s.events.Provisions()[r.Type]
		}
		if _, err := provision(t.Context(), r); err != nil {
			t.Fatalf("%s: %v", r.LogicalID, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.events.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

func arn(queue string) string { return "arn:aws:sqs:eu-west-1:000000000000:" + queue }

func queue(name string) template.Resource {
	return template.Resource{LogicalID: name, PhysicalName: name, Type: "AWS::SQS::Queue"}
}

// policyFor returns a queue policy that allows a rule of the default bus.
func policyFor(rule, queue string) template.Resource {
	return template.Resource{LogicalID: queue + "Policy", Type: "AWS::SQS::QueuePolicy", Properties: map[string]any{
		"Queues": []any{"http://x/000000000000/" + queue},
		"PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(queue), "Principal": map[string]any{"Service": "events.amazonaws.com"},
			"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": "arn:aws:events:eu-west-1:000000000000:rule/" + rule}},
		}}},
	}}
}

func rule(name string, targets ...any) template.Resource {
	return template.Resource{LogicalID: name, PhysicalName: name, Type: "AWS::Events::Rule", Properties: map[string]any{
		"EventPattern": map[string]any{"source": []any{"orders"}}, "Targets": targets,
	}}
}

func (s *busWithQueues) put(t testing.TB, n int) {
	t.Helper()
	var entries []ebtypes.PutEventsRequestEntry
	for i := range n {
		entries = append(entries, ebtypes.PutEventsRequestEntry{
			Source: aws.String("orders"), DetailType: aws.String("OrderCreated"), Detail: aws.String(fmt.Sprintf(`{"id":"e%d","note":"😀"}`, i)),
		})
	}
	out, err := s.cloud.EventBridge().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
	if err != nil || out.FailedEntryCount > 0 {
		t.Fatalf("put: %v %v", out, err)
	}
}

// TestDeadLetterMessageOfAFunction checks the attributes that a real queue has of it.
func TestDeadLetterMessageOfAFunction(t *testing.T) {
	s := start(t, queue("Own"))
	const function = "arn:aws:lambda:eu-west-1:000000000000:function:f"
	m := async.Message{Queue: arn("Own"), Body: `{"order":1}`, RequestID: "id", ErrorCode: "200", ErrorMessage: "out of order"}
	if err := async.NewSender(s.cloud).Send(t.Context(), function, []async.Message{m}); err != nil {
		t.Fatal(err)
	}
	got := s.receive(t, "Own")
	for name, want := range map[string]string{"RequestID": "String id", "ErrorCode": "Number 200", "ErrorMessage": "String out of order"} {
		if a := got.MessageAttributes[name]; aws.ToString(a.DataType)+" "+aws.ToString(a.StringValue) != want {
			t.Errorf("%s is %s %s, want %s", name, aws.ToString(a.DataType), aws.ToString(a.StringValue), want)
		}
	}
	if *got.Body != m.Body {
		t.Errorf("body %s", *got.Body)
	}
	m.Queue = arn("Missing")
	if err := async.NewSender(s.cloud).Send(t.Context(), function, []async.Message{m}); err == nil || !strings.Contains(err.Error(), m.Queue+" did not accept") {
		t.Errorf("to a queue that is missing: %v", err)
	}
}

// receive waits for one message.
func (s *busWithQueues) receive(t *testing.T, queue string) types.Message {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		out, err := s.cloud.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(s.cloud.QueueURL(arn(queue))), WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			return out.Messages[0]
		}
	}
	t.Fatalf("no message came to %s", queue)
	return types.Message{}
}

func TestDelivery(t *testing.T) {
	s := start(t, queue("Orders"), queue("Dead"), policyFor("Rule", "Orders"), policyFor("Rule", "Dead"),
		rule("Rule", map[string]any{"Id": "T", "Arn": arn("Orders"), "InputPath": "$.detail"}))
	s.put(t, 1)
	if body := *s.receive(t, "Orders").Body; body != `{"id":"e0","note":"😀"}` {
		t.Errorf("body %s", body)
	}
	if h := <-s.hops; h.Outcome != hop.OK || h.Resource != "Rule" || h.Target != arn("Orders") || h.EventIDs[0] != "e0" || h.Latency <= 0 {
		t.Errorf("hop %+v", h)
	}
}

// TestTargetWithoutPolicy checks that an event for a target whose policy does not allow the rule goes to the
// dead-letter queue without a retry.
func TestTargetWithoutPolicy(t *testing.T) {
	s := start(t, queue("Orders"), queue("Dead"), policyFor("Rule", "Dead"),
		rule("Rule", map[string]any{"Id": "T", "Arn": arn("Orders"), "DeadLetterConfig": map[string]any{"Arn": arn("Dead")}}))
	s.put(t, 1)
	m := s.receive(t, "Dead")
	for name, want := range map[string]string{
		"RULE_ARN": "arn:aws:events:eu-west-1:000000000000:rule/Rule", "TARGET_ARN": arn("Orders"), "ERROR_CODE": "NO_PERMISSIONS", "RETRY_ATTEMPTS": "0",
	} {
		if got := aws.ToString(m.MessageAttributes[name].StringValue); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if h := <-s.hops; h.Outcome != hop.DeadLetter || h.Target != arn("Dead") {
		t.Errorf("hop %+v", h)
	}
}

// TestDeadLetterQueueWithoutPolicy checks that the event is lost, as on AWS, when the policy of the dead-letter queue
// does not allow the rule.
func TestDeadLetterQueueWithoutPolicy(t *testing.T) {
	s := start(t, queue("Orders"), queue("Dead"),
		rule("Rule", map[string]any{"Id": "T", "Arn": arn("Orders"), "DeadLetterConfig": map[string]any{"Arn": arn("Dead")}}))
	s.put(t, 1)
	if h := <-s.hops; h.Outcome != hop.Dropped {
		t.Errorf("hop %+v", h)
	}
}

func TestMissingQueue(t *testing.T) {
	s := start(t, queue("Dead"), policyFor("Rule", "Dead"),
		rule("Rule", map[string]any{"Id": "T", "Arn": arn("Orders"), "DeadLetterConfig": map[string]any{"Arn": arn("Dead")}}))
	s.put(t, 1)
	if code := aws.ToString(s.receive(t, "Dead").MessageAttributes["ERROR_CODE"].StringValue); code != "NO_RESOURCE" {
		t.Errorf("ERROR_CODE is %q, want NO_RESOURCE", code)
	}
}

func TestFIFOTarget(t *testing.T) {
	fifo := queue("Ordered")
	fifo.Properties = map[string]any{"FifoQueue": true, "ContentBasedDeduplication": true}
	s := start(t, fifo, policyFor("Rule", "Ordered.fifo"),
		rule("Rule", map[string]any{"Id": "T", "Arn": arn("Ordered.fifo"), "SqsParameters": map[string]any{"MessageGroupId": "g"}}))
	s.put(t, 1)
	s.receive(t, "Ordered.fifo")
}

// BenchmarkBus sends events, ten in each call, and waits until both targets have them.
func BenchmarkBus(b *testing.B) {
	s := start(b, queue("One"), queue("Two"), policyFor("Rule", "One"), policyFor("Rule", "Two"),
		rule("Rule", map[string]any{"Id": "1", "Arn": arn("One")}, map[string]any{"Id": "2", "Arn": arn("Two")}))
	client := s.cloud.EventBridge()
	detail := fmt.Sprintf(`{"id":"e","data":"%0600d"}`, 0)
	const clients, batch = 4, 10
	b.ResetTimer()
	var putting sync.WaitGroup
	for range clients {
		putting.Go(func() {
			for range b.N {
				var entries []ebtypes.PutEventsRequestEntry
				for range batch {
					entries = append(entries, ebtypes.PutEventsRequestEntry{Source: aws.String("orders"), DetailType: aws.String("OrderCreated"), Detail: &detail})
				}
				if _, err := client.PutEvents(b.Context(), &eventbridge.PutEventsInput{Entries: entries}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range clients * batch * b.N * 2 {
		if h := <-s.hops; h.Outcome != hop.OK {
			b.Fatalf("hop %+v", h)
		}
	}
	putting.Wait()
	b.ReportMetric(float64(clients*batch*b.N)/b.Elapsed().Seconds(), "events/s")
}

package topics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

const region = "eu-west-1"

// policies ask those of queues, and let topics invoke all functions but one.
type policies struct{ queues *queues.Service }

func (p policies) Allows(target, service, source string) bool {
	if strings.HasPrefix(target, "arn:aws:lambda:") {
		return true
	}
	return p.queues.Allows(target, service, source)
}

// A stack is topics with real queues.
type stack struct {
	*topics.Service
	cloud   *cloud.Cloud
	clock   clock.Clock
	queues  *queues.Service
	events  chan string // with which functions are invoked
	db      *bbolt.DB
	hops    chan hop.Hop
	notices []string
}

// newStack starts queues, and topics that do not deliver yet.
func newStack(t *testing.T) *stack {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, ignore,
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
	})
	s := &stack{cloud: cloud.New(region), events: make(chan string, 100), hops: make(chan hop.Hop, 1000)}
	s.cloud.SetEndpoint(cloud.Others, "http://127.0.0.1:4514")
	dir := t.TempDir()
	var err error
	if s.queues, err = queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.queues.Close)
	if s.db, err = bbolt.Open(filepath.Join(dir, "positions.db"), 0o600, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.open(t)
	return s
}

// open makes the service anew, as a restart does.
func (s *stack) open(t *testing.T) {
	t.Helper()
	var err error
	s.Service, err = topics.New(topics.Config{
		Cloud: s.cloud, DB: s.db, Policies: policies{s.queues}, Clock: &s.clock,
		HasFunction: func(arn string) bool { return arn == functionARN("Ship") }, InvokeAsync: s.invoke,
		Sink: func(h hop.Hop) { s.hops <- h }, Notice: func(text string) { s.notices = append(s.notices, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) invoke(arn string, payload []byte) error {
	if arn != functionARN("Ship") {
		return fmt.Errorf("invoked %s", arn)
	}
	s.events <- string(payload)
	return nil
}

// run delivers until the test ends, or stop is called.
func (s *stack) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

type object = map[string]any

// make provisions a resource and returns its Ref.
func (s *stack) make(t *testing.T, kind, id string, properties object) string {
	t.Helper()
	ref, err := s.provision(t, kind, id, properties)
	if err != nil {
		t.Fatalf("%s %s: %v", kind, id, err)
	}
	return ref
}

func (s *stack) provision(t *testing.T, kind, id string, properties object) (string, error) {
	t.Helper()
	provision := s.Provisions()[kind]
	if provision == nil {
		provision = s.queues.Provisions()[kind]
	}
	made, err := provision(t.Context(), template.Resource{LogicalID: id, PhysicalName: id, Type: kind, Properties: properties})
	return made.Ref, err
}

func topicARN(name string) string { return "arn:aws:sns:" + region + ":000000000000:" + name }
func queueARN(name string) string { return "arn:aws:sqs:" + region + ":000000000000:" + name }
func functionARN(name string) string {
	return "arn:aws:lambda:" + region + ":000000000000:function:" + name
}

// queue makes a queue that lets the topic in.
func (s *stack) queue(t *testing.T, name, topic string) string {
	t.Helper()
	properties := object{"QueueName": name}
	if strings.HasSuffix(name, ".fifo") {
		properties["FifoQueue"] = true
	}
	url := s.make(t, "AWS::SQS::Queue", strings.TrimSuffix(name, ".fifo"), properties)
	s.make(t, "AWS::SQS::QueuePolicy", name+"Policy", object{"Queues": []any{url}, "PolicyDocument": object{
		"Version": "2012-10-17", "Statement": object{
			"Effect": "Allow", "Principal": object{"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queueARN(name),
			"Condition": object{"ArnEquals": object{"aws:SourceArn": topic}},
		},
	}})
	return url
}

// subscribe makes a subscription of a queue.
func (s *stack) subscribe(t *testing.T, topic, queue string, properties object) string {
	t.Helper()
	all := object{"TopicArn": topic, "Protocol": "sqs", "Endpoint": queueARN(queue)}
	for name, value := range properties {
		all[name] = value
	}
	return s.make(t, "AWS::SNS::Subscription", queue+"Subscription", all)
}

// publish publishes messages, none of which is refused.
func (s *stack) publish(t *testing.T, topic string, messages ...topics.Message) []topics.Result {
	t.Helper()
	results, err := s.Publish(topic, messages)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	return results
}

// receive waits for n messages of a queue and deletes them.
func (s *stack) receive(t *testing.T, url string, n int) (received []types.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(received) < n {
		out, err := s.cloud.SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatalf("%d of %d messages came: %v", len(received), n, err)
		}
		for _, m := range out.Messages {
			received = append(received, m)
			if _, err := s.cloud.SQS().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return received
}

// await returns the next hop.
func (s *stack) await(t *testing.T) hop.Hop {
	t.Helper()
	select {
	case h := <-s.hops:
		return h
	case <-time.After(20 * time.Second):
		t.Fatal("no hop came")
		return hop.Hop{}
	}
}

// quiet checks that no delivery is under way.
func (s *stack) quiet(t *testing.T) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket([]byte("messages of topics")).Stats().KeyN; n != 0 {
			return fmt.Errorf("%d deliveries are in the journal", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A queue gets a notification with all fields of SNS's, and with raw delivery the message as it is. Each subscription gets
// what its filter accepts.
func TestQueues(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders", "DisplayName": "orders"})
	wrapped, raw, filtered := s.queue(t, "Wrapped", topic), s.queue(t, "Raw", topic), s.queue(t, "Filtered", topic)
	subscription := s.subscribe(t, topic, "Wrapped", nil)
	s.subscribe(t, topic, "Raw", object{"RawMessageDelivery": "true"})
	s.subscribe(t, topic, "Filtered", object{"FilterPolicy": object{"kind": []any{"created"}}, "RawMessageDelivery": true})
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	attributes := map[string]topics.Attribute{"kind": {Type: "String", Value: "created"}, "key": {Type: "Binary", Value: "AAE="}, "n": {Type: "Number", Value: "7"}}
	event := `{"source":"orders.heartbeat","detail":{"id":"e-1","note":"<&>"}}`
	result := s.publish(t, topic, topics.Message{Body: event, Subject: "Order", Attributes: attributes})[0]
	s.publish(t, topic, topics.Message{Body: "second"})

	first := s.receive(t, wrapped, 2)
	slices.SortFunc(first, func(a, b types.Message) int { return len(*b.Body) - len(*a.Body) })
	var got object
	if err := json.Unmarshal([]byte(*first[0].Body), &got); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(got["Timestamp"]))
	if err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("Timestamp is %v", got["Timestamp"])
	}
	delete(got, "Timestamp")
	delete(got, "Signature")
	want := object{
		"Type": "Notification", "MessageId": result.MessageID, "TopicArn": topic, "Subject": "Order", "Message": event, "SignatureVersion": "1",
		"SigningCertURL": "http://127.0.0.1:4514/SimpleNotificationService.pem",
		"UnsubscribeURL": "http://127.0.0.1:4514/?Action=Unsubscribe&SubscriptionArn=" + strings.ReplaceAll(subscription, ":", "%3A"),
		"MessageAttributes": object{
			"kind": object{"Type": "String", "Value": "created"}, "key": object{"Type": "Binary", "Value": "AAE="}, "n": object{"Type": "Number", "Value": "7"},
		},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if !strings.HasPrefix(*first[1].Body, `{"Type":"Notification",`) || strings.Contains(*first[1].Body, "Subject") || strings.Contains(*first[1].Body, "MessageAttributes") {
		t.Errorf("the second notification is %s", *first[1].Body)
	}
	for url, n := range map[string]int{raw: 2, filtered: 1} {
		received := s.receive(t, url, n)
		i := slices.IndexFunc(received, func(m types.Message) bool { return *m.Body == event })
		if i < 0 {
			t.Fatalf("%s did not get the event", url)
		}
		m := received[i].MessageAttributes
		if *m["kind"].StringValue != "created" || string(m["key"].BinaryValue) != "\x00\x01" || *m["n"].DataType != "Number" {
			t.Errorf("%s got the attributes %v", url, m)
		}
	}
	ids := 0
	for range 5 {
		h := s.await(t)
		if h.Stage != hop.Topic || h.Outcome != hop.OK || h.Resource != "Orders" || h.Count != 1 {
			t.Errorf("hop %+v", h)
		}
		if slices.Equal(h.EventIDs, []string{"e-1"}) && h.Heartbeat {
			ids++
		}
	}
	if ids != 3 {
		t.Errorf("%d hops name the event", ids)
	}
}

// A function gets one record.
func TestFunctions(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders", "Subscription": []any{object{"Protocol": "lambda", "Endpoint": functionARN("Ship")}}})
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	id := s.publish(t, topic, topics.Message{Body: "hello"})[0].MessageID
	subscription := s.Subscriptions(topic)[0].ARN
	var event struct{ Records []object }
	if err := json.Unmarshal([]byte(<-s.events), &event); err != nil || len(event.Records) != 1 {
		t.Fatalf("%v: %v", err, event)
	}
	record := event.Records[0]
	sns, _ := record["Sns"].(object)
	want := object{
		"Type": "Notification", "MessageId": id, "TopicArn": topic, "Subject": nil, "Message": "hello", "SignatureVersion": "1",
		"SigningCertUrl": "http://127.0.0.1:4514/SimpleNotificationService.pem",
	}
	for name, want := range want {
		if got, ok := sns[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if record["EventSource"] != "aws:sns" || record["EventVersion"] != "1.0" || record["EventSubscriptionArn"] != subscription || fmt.Sprint(sns["MessageAttributes"]) != "map[]" {
		t.Errorf("the record is %v", record)
	}
	if h := s.await(t); h.Outcome != hop.OK || h.Target != functionARN("Ship") {
		t.Errorf("hop %+v", h)
	}
}

// The messages of a group come in the order in which they were published, and one with a deduplication id of the last five
// minutes does not come again.
func TestFIFO(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"FifoTopic": true, "ContentBasedDeduplication": true})
	if topic != topicARN("Orders.fifo") {
		t.Errorf("the topic is %s", topic)
	}
	fifo, wrapped, standard := s.queue(t, "Fifo.fifo", topic), s.queue(t, "Wrapped.fifo", topic), s.queue(t, "Standard", topic)
	s.subscribe(t, topic, "Fifo.fifo", object{"RawMessageDelivery": true})
	s.subscribe(t, topic, "Wrapped.fifo", nil)
	s.subscribe(t, topic, "Standard", object{"RawMessageDelivery": true})
	s.run(t)
	var want, sequences []string
	for i := range 20 {
		body := fmt.Sprint("m", i)
		want = append(want, body)
		results := s.publish(t, topic, topics.Message{Body: body, Group: "g"}, topics.Message{Body: body, Group: "g"})
		if results[0] != results[1] {
			t.Errorf("the duplicate in a call is answered by %+v, the first by %+v", results[1], results[0])
		}
		if again := s.publish(t, topic, topics.Message{Body: body, Group: "other"})[0]; again != results[0] {
			t.Errorf("the duplicate is answered by %+v, the first by %+v", again, results[0])
		}
		sequences = append(sequences, results[0].SequenceNumber)
	}
	if !slices.IsSorted(sequences) || len(sequences[0]) != 20 {
		t.Errorf("the sequence numbers are %v", sequences)
	}
	var got []string
	for _, m := range s.receive(t, fifo, len(want)) {
		got = append(got, *m.Body)
		if m.Attributes["MessageGroupId"] != "g" {
			t.Errorf("%s is of the group %q", *m.Body, m.Attributes["MessageGroupId"])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for i, m := range s.receive(t, wrapped, len(want)) {
		var n object
		if err := json.Unmarshal([]byte(*m.Body), &n); err != nil || n["Message"] != want[i] || n["SequenceNumber"] != sequences[i] || n["Signature"] != nil {
			t.Errorf("%d: %v", i, n)
		}
	}
	s.receive(t, standard, len(want))
}

// Deduplication ids count within a group when the topic says so.
func TestDeduplicationByGroup(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders.fifo", "FifoTopic": true, "FifoThroughputScope": "MessageGroup"})
	m := topics.Message{Body: "a", Group: "g", Deduplication: "1"}
	first := s.publish(t, topic, m)[0]
	m.Group = "h"
	if other := s.publish(t, topic, m)[0]; other.MessageID == first.MessageID {
		t.Error("a message of another group counts as a duplicate")
	}
	if again := s.publish(t, topic, m)[0]; again.MessageID == first.MessageID {
		t.Error("the duplicate is answered as the other group's message")
	}
	m.Group = "g"
	s.clock.Advance(5 * time.Minute)
	if late := s.publish(t, topic, m)[0]; late.MessageID == first.MessageID {
		t.Error("a message after five minutes counts as a duplicate")
	}
}

// What cannot be delivered is in the subscription's dead-letter queue, at once; without one it is dropped, and a hop says so.
func TestDeadLetters(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
	dead := s.queue(t, "Dead", topic)
	redrive := object{"RedrivePolicy": object{"deadLetterTargetArn": queueARN("Dead")}, "RawMessageDelivery": true}
	s.queue(t, "Stranger", topicARN("Another")) // lets another topic in
	s.subscribe(t, topic, "Stranger", redrive)
	s.run(t)
	s.publish(t, topic, topics.Message{Body: "lost?"})
	if m := s.receive(t, dead, 1)[0]; *m.Body != "lost?" {
		t.Errorf("the dead-letter message is %s", *m.Body)
	}
	if h := s.await(t); h.Outcome != hop.DeadLetter || h.Target != queueARN("Dead") || !strings.Contains(h.Detail, "does not allow the topic to send messages") {
		t.Errorf("hop %+v", h)
	}

	gone := s.queue(t, "Gone", topic)
	s.subscribe(t, topic, "Gone", nil)
	if _, err := s.cloud.SQS().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &gone}); err != nil {
		t.Fatal(err)
	}
	s.publish(t, topic, topics.Message{Body: "again"})
	outcomes := map[hop.Outcome]string{}
	for range 2 {
		h := s.await(t)
		outcomes[h.Outcome] = h.Detail
	}
	if outcomes[hop.DeadLetter] == "" || !strings.Contains(outcomes[hop.Dropped], "the subscription has no dead-letter queue") {
		t.Errorf("the hops are %v", outcomes)
	}
}

// A message with more attributes than SQS takes is a dead-letter message of a subscription with raw delivery only.
func TestTooManyAttributes(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
	s.queue(t, "Raw", topic)
	wrapped := s.queue(t, "Wrapped", topic)
	s.subscribe(t, topic, "Raw", object{"RawMessageDelivery": true})
	s.subscribe(t, topic, "Wrapped", nil)
	s.run(t)
	m := topics.Message{Body: "many", Attributes: map[string]topics.Attribute{}}
	for i := range 11 {
		m.Attributes[fmt.Sprint("a", i)] = topics.Attribute{Type: "String", Value: "x"}
	}
	s.publish(t, topic, m)
	s.receive(t, wrapped, 1)
	for range 2 {
		if h := s.await(t); h.Outcome == hop.Dropped && strings.Contains(h.Detail, "at most 10 attributes, got 11") {
			return
		}
	}
	t.Error("no hop says that the message was dropped")
}

// A message that was acknowledged is delivered by the next run, in order, and then forgotten.
func TestDeliveriesOutliveTheRun(t *testing.T) {
	s := newStack(t)
	var url string
	provision := func() string {
		topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders.fifo", "FifoTopic": true})
		s.subscribe(t, topic, "Fifo.fifo", object{"RawMessageDelivery": true})
		return topic
	}
	url = s.queue(t, "Fifo.fifo", topicARN("Orders.fifo"))
	topic := provision()
	for i := range 5 {
		s.publish(t, topic, topics.Message{Body: fmt.Sprint(i), Group: "g", Deduplication: fmt.Sprint(i)})
	}
	s.open(t) // nothing was delivered yet
	provision()
	stop := s.run(t)
	for i, m := range s.receive(t, url, 5) {
		if *m.Body != fmt.Sprint(i) {
			t.Errorf("message %d is %s", i, *m.Body)
		}
	}
	for range 5 {
		s.await(t)
	}
	stop()
	s.quiet(t)
}

// A delivery to a subscription that the template has no more is dropped, and a hop says so.
func TestSubscriptionsThatAreGone(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
	s.queue(t, "Queue", topic)
	s.subscribe(t, topic, "Queue", nil)
	s.publish(t, topic, topics.Message{Body: "x"})
	s.open(t)
	s.run(t)
	if h := s.await(t); h.Outcome != hop.Dropped || !strings.Contains(h.Detail, "no longer in the template") {
		t.Errorf("hop %+v", h)
	}
}

// Nothing is sent to people: such a subscription waits for a confirmation, and the start says so.
func TestPeople(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Alarms", object{"TopicName": "Alarms", "Subscription": []any{object{"Protocol": "sms", "Endpoint": "+491700000000"}}})
	s.make(t, "AWS::SNS::Subscription", "Mail", object{"TopicArn": topic, "Protocol": "email", "Endpoint": "ops@example.com"})
	s.publish(t, topic, topics.Message{Body: "x"})
	s.quiet(t)
	for _, sub := range s.Subscriptions(topic) {
		if !sub.Pending() {
			t.Errorf("%s is confirmed", sub.Protocol)
		}
	}
	want := []string{
		"Alarms: nothing is sent to +491700000000 by sms, because the local run does not write to people.",
		"Mail: nothing is sent to ops@example.com by email, because the local run does not write to people.",
	}
	if !slices.Equal(s.notices, want) {
		t.Errorf("the notices are %q", s.notices)
	}
	if err := s.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
}

// A structured message has a text for each protocol.
func TestStructuredMessages(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
	url := s.queue(t, "Queue", topic)
	s.subscribe(t, topic, "Queue", object{"RawMessageDelivery": true})
	s.make(t, "AWS::SNS::Subscription", "ShipSubscription", object{"TopicArn": topic, "Protocol": "lambda", "Endpoint": functionARN("Ship")})
	s.run(t)
	s.publish(t, topic, topics.Message{Body: `{"default": "for all", "sqs": "for queues", "http": {}}`, Structured: true})
	if m := s.receive(t, url, 1)[0]; *m.Body != "for queues" {
		t.Errorf("the queue got %s", *m.Body)
	}
	if event := <-s.events; !strings.Contains(event, `"Message":"for all"`) {
		t.Errorf("the function got %s", event)
	}
}

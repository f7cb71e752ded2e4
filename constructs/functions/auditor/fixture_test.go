package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/audit/audittest"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const (
	outboxTable = "outbox"
	inboxTable  = "inbox"
	listTable   = "audit"

	host       = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
	pendingURL = host + "pending"
	rulesDLQ   = host + "rules-dlq"
	pipeDLQ    = host + "pipe-dlq"
	auditDLQ   = host + "audit-dlq"

	shipping = "Orders/Outbox/Shipping" // handles every event, in any order
	history  = "Orders/Outbox/History"  // handles every event, in order
)

func queueOf(consumer string) string { return host + consumer[strings.LastIndex(consumer, "/")+1:] }

func dlqOf(consumer string) string { return queueOf(consumer) + "-dlq" }

// fixture is an outbox with two consumers, whose real inboxes write the receipts.
type fixture struct {
	t          *testing.T
	calls      audittest.Calls
	tables     *audittest.Tables
	queues     *audittest.Queues
	pipe       *audittest.Pipe
	parameters *audittest.Parameters
	metrics    buffer
	logs       buffer

	versions map[string]int64 // last, by aggregate
	sequence int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, versions: map[string]int64{}}
	f.tables = audittest.NewTables(&f.calls)
	f.queues = audittest.NewQueues(&f.calls, time.Now().Add(-time.Hour), pendingURL, rulesDLQ, pipeDLQ, auditDLQ,
		queueOf(shipping), dlqOf(shipping), queueOf(history), dlqOf(history))
	f.pipe = &audittest.Pipe{Calls: &f.calls, Name: "orders-pipe", Created: time.Now().Add(-time.Hour)}
	f.parameters = &audittest.Parameters{Calls: &f.calls, Values: map[string]string{}}
	f.describe("outbox", description.Outbox{
		Version: "1", Path: "Orders/Outbox", Source: "orders", Table: outboxTable, EventRetentionSeconds: "604800", Pipe: "orders-pipe",
		RuleDeadLetterQueue: rulesDLQ, PipeDeadLetterQueue: pipeDLQ,
		Audit: &description.Audit{Table: listTable, Pending: pendingURL, DeadLetterQueue: auditDLQ, ConfirmWithinSeconds: "900", AlarmAfterSeconds: "3600", RepairPerMinute: "60"},
	})
	f.addConsumer(shipping, false)
	f.addConsumer(history, true)
	return f
}

func (f *fixture) describe(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	f.parameters.Values[name] = string(text)
}

// change changes the outbox's description.
func (f *fixture) change(change func(*description.Outbox)) {
	var d description.Outbox
	if err := description.Decode(f.parameters.Values["outbox"], &d); err != nil {
		f.t.Fatal(err)
	}
	change(&d)
	f.describe("outbox", d)
}

func (f *fixture) addConsumer(name string, ordered bool) {
	id := name[strings.LastIndex(name, "/")+1:]
	f.describe("consumer/"+id, description.Consumer{
		Version: "1", ID: id, Name: name, Inbox: "TABLE", Ordered: ordered, InboxTable: inboxTable,
		Pattern: json.RawMessage(`{"source": ["orders"], "detail-type": [{"prefix": "Order"}]}`),
		Queue:   queueOf(name), DeadLetterQueue: dlqOf(name), RuleDeadLetterQueue: rulesDLQ,
	})
}

// auditor returns a function that was just started.
func (f *fixture) auditor() *auditor {
	return &auditor{
		tables: f.tables, queues: f.queues,
		catalog: catalog{parameters: f.parameters, queues: f.queues, pipes: f.pipe, path: "/outboxkit/Orders/Outbox"},
		metrics: &f.metrics, logger: slog.New(slog.NewJSONHandler(&f.logs, nil)),
	}
}

// commit commits the next event of an aggregate and returns it with its record in the stream.
func (f *fixture) commit(aggregate string) (record.Event, json.RawMessage) {
	f.t.Helper()
	f.versions[aggregate]++
	event := record.Event{
		ID: fmt.Sprintf("%s-%d", aggregate, f.versions[aggregate]), Type: "OrderUpdated", Source: "orders",
		AggregateType: "Order", AggregateID: aggregate, Version: f.versions[aggregate],
		OccurredAt: time.Now(), Data: json.RawMessage(`{"total":1290}`),
	}
	item, err := event.Item(time.Now().Add(7 * 24 * time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
	item[record.AttrWrittenAt] = item[record.AttrOccurredAt]
	f.tables.Put(outboxTable, item)
	return event, f.recordOf(item)
}

func (f *fixture) recordOf(item audit.Item) json.RawMessage {
	f.sequence++
	image := map[string]map[string]string{}
	for name, value := range item {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			image[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			image[name] = map[string]string{"N": v.Value}
		}
	}
	return f.marshal(map[string]any{
		"eventName": "INSERT", "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/outbox/stream/2026-01-01T00:00:00.000",
		"dynamodb": map[string]any{
			"ApproximateCreationDateTime": time.Now().Unix(), "SequenceNumber": fmt.Sprintf("%021d", f.sequence), "NewImage": image,
		},
	})
}

func (f *fixture) marshal(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// stream invokes the function with records and returns the sequence number from which on they come again.
func (f *fixture) stream(a *auditor, records ...json.RawMessage) (failedFrom string, err error) {
	out, err := a.handle(f.t.Context(), f.marshal(map[string]any{"Records": records}))
	if err != nil {
		return "", err
	}
	var r struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(f.marshal(out), &r); err != nil {
		f.t.Fatal(err)
	}
	if len(r.BatchItemFailures) > 0 {
		failedFrom = r.BatchItemFailures[0].ItemIdentifier
	}
	return failedFrom, nil
}

// mustStream invokes the function with records that all succeed.
func (f *fixture) mustStream(a *auditor, records ...json.RawMessage) {
	f.t.Helper()
	if from, err := f.stream(a, records...); err != nil || from != "" {
		f.t.Fatalf("the batch failed from %q: %v", from, err)
	}
}

const scheduled = `{"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "123456789012",
	"time": "2026-01-01T00:00:00Z", "region": "eu-central-1", "resources": [], "detail": {}}`

// minute lets a minute pass and invokes the function by its schedule.
func (f *fixture) minute(a *auditor) error {
	time.Sleep(time.Minute)
	_, err := a.handle(f.t.Context(), json.RawMessage(scheduled))
	return err
}

// minutes lets some pass.
func (f *fixture) minutes(a *auditor, n int) {
	f.t.Helper()
	for range n {
		if err := f.minute(a); err != nil {
			f.t.Fatal(err)
		}
	}
}

// deliver lets a consumer handle an event, by its real inbox.
func (f *fixture) deliver(consumer string, event record.Event) {
	f.t.Helper()
	f.handle(consumer, bodyOf(f.t, event))
}

// handle lets a consumer handle a message.
func (f *fixture) handle(consumer, body string) {
	f.t.Helper()
	store, err := inbox.New(f.tables, f.queues, inbox.Config{
		Table: inboxTable, Consumer: consumer, TTL: 60 * 24 * time.Hour, QueueURL: queueOf(consumer), DeadLetterQueueURL: dlqOf(consumer),
		Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	var options []inbox.Option
	if consumer == history {
		options = append(options, inbox.FromFirstVersion())
	}
	handler := inbox.Handler(store, func(context.Context, *outbox.Tx, record.Event) error { return nil }, options...)
	out, err := handler(f.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: body}}})
	if err != nil || len(out.BatchItemFailures) > 0 {
		f.t.Fatalf("consumer %s did not handle %s: %v", consumer, body, err)
	}
}

// listed returns what is on the lists, as "<consumer>: <event>".
func (f *fixture) listed() []string {
	var all []string
	for _, item := range f.tables.Items(listTable, "unconfirmed#") {
		all = append(all, strings.TrimPrefix(audittest.Text(item, "pk"), "unconfirmed#")+": "+audittest.Text(item, "id"))
	}
	return all
}

// metric returns the last value of a consumer's metric, or of the outbox's where the consumer is empty; -1 for none.
func (f *fixture) metric(consumer, name string) int64 {
	f.t.Helper()
	last := int64(-1)
	for _, line := range strings.Split(strings.TrimSpace(f.metrics.String()), "\n") {
		var doc map[string]any
		if line == "" || json.Unmarshal([]byte(line), &doc) != nil {
			continue
		}
		if of, _ := doc["Consumer"].(string); of != consumer {
			continue
		}
		switch v := doc[name].(type) {
		case float64:
			last = int64(v)
		case []any:
			last = int64(v[len(v)-1].(float64))
		}
	}
	return last
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bodyOf returns the message of an event as a rule puts it into a queue.
func bodyOf(t *testing.T, event record.Event) string {
	t.Helper()
	item, err := event.Item(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body, err := audit.Place{}.Message(item, event.OccurredAt)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func textValue(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// markerOf returns the marker that shipping's inbox leaves.
func markerOf(e audit.Event) audit.Item {
	text := textValue
	number := func(n int64) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }
	return audit.Item{
		record.AttrPK: text(record.MarkerKey(shipping, e.Source, e.ID)), record.AttrSource: text(e.Source),
		record.AttrAggregateType: text(e.AggregateType), record.AttrAggregateID: text(e.AggregateID),
		record.AttrVersion: number(e.Version), record.AttrHandledAt: number(time.Now().UnixMilli()),
	}
}

package inbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const (
	inboxTable  = "inbox"
	outboxTable = "outbox"
	shipments   = "shipments"
	queueURL    = "https://sqs/shipping"
	dlqURL      = "https://sqs/shipping-dlq"
	traceparent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
)

func newDB() *dynamotest.DB {
	return dynamotest.New(map[string][]string{inboxTable: {"pk"}, outboxTable: {"pk", "sk"}, shipments: {"id"}})
}

// queues remembers what was sent and whose visibility was changed.
type queues struct {
	mu      sync.Mutex
	sent    []*sqs.SendMessageInput
	changed []*sqs.ChangeMessageVisibilityInput
	created time.Time // when the queue was created
	err     error
}

func (q *queues) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": strconv.FormatInt(q.created.Unix(), 10)}}, q.err
}

func (q *queues) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return nil, q.err
	}
	q.sent = append(q.sent, in)
	return &sqs.SendMessageOutput{}, nil
}

func (q *queues) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed = append(q.changed, in)
	return &sqs.ChangeMessageVisibilityOutput{}, q.err
}

// fixture is a consumer's surroundings.
type fixture struct {
	*dynamotest.DB
	queues  queues
	logs    syncBuffer
	metrics syncBuffer
	config  inbox.Config
}

func newFixture() *fixture {
	f := &fixture{DB: newDB()}
	f.queues.created = time.Now()
	f.config = inbox.Config{
		Table: inboxTable, Consumer: "shipping", TTL: 24 * time.Hour,
		QueueURL: queueURL, DeadLetterQueueURL: dlqURL,
		OriginTable: outboxTable,
		Outbox:      outbox.Config{Table: outboxTable, Source: "shipping"},
		Logger:      newLogger(&f.logs),
		Metrics:     &f.metrics,
	}
	return f
}

func (f *fixture) store(t testing.TB, db inbox.DynamoDB) *inbox.Store {
	t.Helper()
	store, err := inbox.New(db, &f.queues, f.config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// ship is the function under the handler: a shipment for the order, and an event about it. It has no
// condition of its own, so that nothing but the inbox keeps it from a second effect, which shows as a
// second event.
func ship(_ context.Context, tx *outbox.Tx, event record.Event) error {
	tx.Put(types.Put{TableName: aws.String(shipments), Item: dynamotest.Item{"id": s(event.AggregateID + "/" + event.ID)}})
	tx.Append(outbox.Event{Type: "ShipmentRequested", AggregateType: "Shipment", AggregateID: event.ID, Version: 1})
	return nil
}

func s(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

func stringOf(item dynamotest.Item, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// write commits the events of an order from one version to another, e1, e2 …, as its service does.
func (f *fixture) write(t testing.TB, orderID string, from, to int) {
	t.Helper()
	tx := outbox.New(f.DB, outbox.Config{Table: outboxTable, Source: "orders"}).Begin(t.Context())
	for version := from; version <= to; version++ {
		tx.Append(outbox.Event{ID: "e" + strconv.Itoa(version), Type: "OrderCreated", AggregateType: "Order", AggregateID: orderID, Version: int64(version)})
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// forget deletes an item of the outbox, as DynamoDB does when it has expired.
func (f *fixture) forget(pk, sk string) {
	_, err := f.TransactWriteItems(context.Background(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Delete: &types.Delete{TableName: aws.String(outboxTable), Key: dynamotest.Item{"pk": s(pk), "sk": s(sk)}}},
	}})
	if err != nil {
		panic(err)
	}
}

// envelope is the event as the pipe puts it on the bus.
func envelope(id, orderID string, version int) string {
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": "b1", "detail-type": "OrderCreated", "source": "orders",
		"detail": map[string]any{
			"id": id, "type": "OrderCreated", "aggregateType": "Order", "aggregateId": orderID,
			"version": strconv.Itoa(version), "occurredAt": strconv.FormatInt(time.Now().Add(-time.Second).UnixMilli(), 10),
			"data": map[string]string{"S": `{"orderId":"` + orderID + `"}`}, "traceparent": map[string]string{"S": traceparent},
			"correlationId": "c-" + id, "causationId": map[string]string{"S": ""},
		},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// message is one whose id is "m-" and the event's.
func message(id, orderID string, version int) events.SQSMessage {
	return events.SQSMessage{
		MessageId: "m-" + id, ReceiptHandle: "r-" + id, Body: envelope(id, orderID, version),
		EventSourceARN: "arn:aws:sqs:eu-central-1:000000000000:shipping",
		Attributes: map[string]string{
			"ApproximateReceiveCount":          "1",
			"ApproximateFirstReceiveTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10),
		},
	}
}

func batch(messages ...events.SQSMessage) events.SQSEvent { return events.SQSEvent{Records: messages} }

// deliver hands a batch to the handler and returns the ids of the messages that failed.
func deliver(ctx context.Context, t testing.TB, handler inbox.LambdaHandler, messages ...events.SQSMessage) []string {
	t.Helper()
	response, err := handler(ctx, batch(messages...))
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, f := range response.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// outcomes are the log lines' messages by message id, the last one of each.
func (f *fixture) outcomes(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, line := range f.logs.lines(t) {
		found[line["messageId"].(string)] = line["msg"].(string)
	}
	return found
}

func expect(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// syncBuffer is a bytes.Buffer for concurrent use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// lines are the JSON documents written, one a line.
func (b *syncBuffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []map[string]any
	for line := range strings.Lines(b.b.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in line %s", err, line)
		}
		lines = append(lines, fields)
	}
	return lines
}

var errTest = errors.New("no such order")

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

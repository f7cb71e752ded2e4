package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/trace"
)

const (
	outboxTable = "outbox"
	ordersTable = "orders"
	traceparent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
)

var config = outbox.Config{Table: outboxTable, Source: "orders"}

func newDB() *dynamotest.DB {
	return dynamotest.New(map[string][]string{outboxTable: {"pk", "sk"}, ordersTable: {"orderId"}})
}

// client counts calls, keeps their tokens and lets a test answer in the database's place.
type client struct {
	*dynamotest.DB
	tokens []string
	answer func(call int, in *dynamodb.TransactWriteItemsInput) (done bool, err error)
}

func (c *client) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	c.tokens = append(c.tokens, *in.ClientRequestToken)
	if c.answer != nil {
		if done, err := c.answer(len(c.tokens), in); done || err != nil {
			return nil, err
		}
	}
	return c.DB.TransactWriteItems(ctx, in, options...)
}

func s(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

func n(value string) types.AttributeValue { return &types.AttributeValueMemberN{Value: value} }

func order(id string) types.Put {
	return types.Put{
		TableName:           aws.String(ordersTable),
		Item:                dynamotest.Item{"orderId": s(id), "status": s("CREATED")},
		ConditionExpression: aws.String("attribute_not_exists(orderId)"),
	}
}

// created is an event of the order o1.
func created() outbox.Event {
	return outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: "o1", Version: 1, Data: map[string]string{"orderId": "o1"}}
}

func stringOf(item dynamotest.Item, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func TestCommitWritesOrderAndEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDB()
		ctx := trace.NewContext(t.Context(), traceparent)
		tx := outbox.New(db, config).Begin(ctx)
		tx.Put(order("o1"))
		id := tx.Append(created())
		if err := tx.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if orders := db.Items(ordersTable); len(orders) != 1 || stringOf(orders[0], "orderId") != "o1" {
			t.Errorf("orders: %v", orders)
		}
		events := db.Items(outboxTable)
		if len(events) != 1 {
			t.Fatalf("%d outbox items, want 1", len(events))
		}
		now := time.Now()
		want := record.Event{
			ID: id, Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: "o1", Version: 1,
			OccurredAt: now, Data: json.RawMessage(`{"orderId":"o1"}`), Traceparent: traceparent, CorrelationID: id,
		}
		item, err := want.Item(now.Add(outbox.DefaultRetention))
		if err != nil {
			t.Fatal(err)
		}
		for name := range item {
			if got, want := stringOf(events[0], name), stringOf(item, name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	})
}

func TestFollowOnEventsCarryTheirCause(t *testing.T) {
	db := newDB()
	cause := record.Event{ID: "e1", CorrelationID: "e0", Traceparent: traceparent}
	ctx := outbox.CausedBy(t.Context(), cause)
	tx := outbox.New(db, config).Begin(ctx)
	tx.Append(created())
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	item := db.Items(outboxTable)[0]
	for name, want := range map[string]string{"causationId": "e1", "correlationId": "e0", "traceparent": traceparent} {
		if got := stringOf(item, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

// DynamoDB's client would replace what is not UTF-8, and two ids would be one.
func TestIDsThatAreNotUTF8AreRefused(t *testing.T) {
	db := newDB()
	tx := outbox.New(db, config).Begin(t.Context())
	event := created()
	event.ID, event.AggregateID = "e\xff", "o\xed\xa0\x80"
	tx.Append(event)
	err := tx.Commit(t.Context())
	for _, want := range []string{`id must be valid UTF-8 without U+FFFD, got "e\xff"`, "aggregateId must be valid UTF-8"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to contain %q", err, want)
		}
	}
	if n := len(db.Items(outboxTable)); n != 0 {
		t.Errorf("%d items were written", n)
	}
}

func TestFailedConditionIsNotRetried(t *testing.T) {
	c := &client{DB: newDB()}
	o := outbox.New(c, config)
	first := o.Begin(t.Context())
	first.Put(order("o1"))
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := o.Begin(t.Context())
	second.Append(created())
	put := order("o1")
	put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	second.Put(put)
	err := second.Commit(t.Context())

	var failed *outbox.ConditionFailedError
	if !errors.Is(err, outbox.ErrConditionFailed) || !errors.As(err, &failed) {
		t.Fatalf("got %v, want ErrConditionFailed", err)
	}
	action, ok := failed.Action(1)
	if !ok || len(failed.Failed) != 1 || action.Kind != "Put" || action.Table != ordersTable || stringOf(action.Item, "status") != "CREATED" {
		t.Errorf("failed actions: %+v", failed.Failed)
	}
	if _, ok := failed.Action(0); ok {
		t.Error("the event's condition is reported as failed too")
	}
	if len(c.tokens) != 2 {
		t.Errorf("%d calls for two commits", len(c.tokens))
	}
	if events := c.Items(outboxTable); len(events) != 0 {
		t.Errorf("an event of a failed transaction: %v", events)
	}
}

func TestEventIDIsWrittenOnce(t *testing.T) {
	o := outbox.New(newDB(), config)
	for i, want := range []error{nil, outbox.ErrConditionFailed} {
		tx := o.Begin(t.Context())
		event := created()
		event.ID = "given"
		tx.Append(event)
		if err := tx.Commit(t.Context()); !errors.Is(err, want) {
			t.Errorf("commit %d: got %v, want %v", i, err, want)
		}
	}
}

func TestCommitAgainAfterSuccessDoesNothing(t *testing.T) {
	c := &client{DB: newDB()}
	tx := outbox.New(c, config).Begin(t.Context())
	tx.Append(created())
	for range 2 {
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.tokens) != 1 {
		t.Errorf("%d calls, want 1", len(c.tokens))
	}
}

func TestMistakesAreReportedTogetherBeforeAnythingIsSent(t *testing.T) {
	c := &client{DB: newDB()}
	tx := outbox.New(c, config).Begin(t.Context())
	tx.Append(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: "o1", Data: 1})
	tx.Append(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: "o2", Version: 1, Data: make(chan int)})
	tx.UpdateVersioned(types.Update{}, "version", -1)
	err := tx.Commit(t.Context())
	for _, part := range []string{
		"action[0]: outbox item: version must be at least 1, got 0",
		"event OrderCreated: data: json: unsupported type",
		"current version is -1",
		"at least one event",
		"action[2] (Update): no table name",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q:\n%v", part, err)
		}
	}
	if len(c.tokens) != 0 {
		t.Error("a request was sent")
	}
}

func TestActionsAfterCommitAreRefused(t *testing.T) {
	c := &client{DB: newDB(), answer: func(call int, _ *dynamodb.TransactWriteItemsInput) (bool, error) {
		return true, errors.Join(&types.ResourceNotFoundException{})
	}}
	tx := outbox.New(c, config).Begin(t.Context())
	tx.Append(created())
	if err := tx.Commit(t.Context()); err == nil {
		t.Fatal("commit to a missing table succeeded")
	}
	tx.Put(order("o1"))
	if err := tx.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "added after Commit") {
		t.Errorf("got %v", err)
	}
}

// What is added too late must not get lost without a word.
func TestActionsAfterASuccessfulCommitAreRefused(t *testing.T) {
	c := &client{DB: newDB()}
	tx := outbox.New(c, config).Begin(t.Context())
	tx.Append(created())
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx.Put(order("o1"))
	if err := tx.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "added after Commit") {
		t.Errorf("got %v", err)
	}
	if len(c.tokens) != 1 {
		t.Errorf("%d calls, want 1", len(c.tokens))
	}
}

func TestEmptyTransactionCommits(t *testing.T) {
	if err := outbox.New(nil, outbox.Config{}).Begin(t.Context()).Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

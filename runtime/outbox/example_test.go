package outbox_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A new order and the event that tells about it, in one transaction. In a Lambda function the client is
// dynamodb.NewFromConfig(cfg), and outbox.FromEnv finds table and source.
func Example() {
	ctx, client := context.Background(), newDB()
	o := outbox.New(client, outbox.Config{Table: "outbox", Source: "orders"})

	tx := o.Begin(ctx)
	tx.Put(types.Put{
		TableName:           aws.String("orders"),
		Item:                map[string]types.AttributeValue{"orderId": &types.AttributeValueMemberS{Value: "o-1001"}},
		ConditionExpression: aws.String("attribute_not_exists(orderId)"),
	})
	tx.Append(outbox.Event{
		Type: "OrderCreated", AggregateType: "Order", AggregateID: "o-1001", Version: 1,
		Data: map[string]any{"orderId": "o-1001", "currency": "EUR"},
	})
	if err := tx.Commit(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("orders:", len(client.Items("orders")), "events:", len(client.Items("outbox")))
	// Output: orders: 1 events: 1
}

// The order's own version attribute numbers its events. A writer that read an outdated order writes
// nothing, and says so in a way that becomes a 412.
func ExampleTx_UpdateVersioned() {
	ctx := context.Background()
	o := outbox.New(newDB(), outbox.Config{Table: "outbox", Source: "orders"})

	confirm := func(version int64) error {
		tx := o.Begin(ctx)
		tx.UpdateVersioned(types.Update{
			TableName:                 aws.String("orders"),
			Key:                       map[string]types.AttributeValue{"orderId": &types.AttributeValueMemberS{Value: "o-1001"}},
			UpdateExpression:          aws.String("SET #status = :confirmed"),
			ExpressionAttributeNames:  map[string]string{"#status": "status"},
			ExpressionAttributeValues: map[string]types.AttributeValue{":confirmed": &types.AttributeValueMemberS{Value: "CONFIRMED"}},
		}, "version", version, outbox.Event{Type: "OrderUpdated", AggregateType: "Order", AggregateID: "o-1001"})
		return tx.Commit(ctx)
	}
	fmt.Println(confirm(0))
	err := confirm(0)
	fmt.Println(errors.Is(err, outbox.ErrConditionFailed), err)
	// Output:
	// <nil>
	// true outbox: commit: condition failed: action[1] (Update on "orders")
}

// Events about something that has no item of its own are numbered by the outbox.
func ExampleTx_AppendNext() {
	ctx, client := context.Background(), newDB()
	o := outbox.New(client, outbox.Config{Table: "outbox", Source: "billing"})
	for range 2 {
		tx := o.Begin(ctx)
		tx.AppendNext(outbox.Event{Type: "InvoiceSent", AggregateType: "Customer", AggregateID: "c-7", Data: "PDF"})
		if err := tx.Commit(ctx); err != nil {
			fmt.Println(err)
		}
	}
	for _, item := range client.Items("outbox") {
		if stringOf(item, "recordType") == record.RecordTypeEvent {
			fmt.Println("version", stringOf(item, "version"))
		}
	}
	// Output:
	// version 1
	// version 2
}

// An outcome that is not known is found out by committing the same transaction again.
func ExampleTx_Commit() {
	ctx := context.Background()
	tx := outbox.New(newDB(), outbox.Config{Table: "outbox", Source: "orders"}).Begin(ctx)
	tx.AppendNext(outbox.Event{Type: "OrderUpdated", AggregateType: "Order", AggregateID: "o-1001"})

	var failed *outbox.ConditionFailedError
	switch err := tx.Commit(ctx); {
	case err == nil:
		fmt.Println("written")
	case errors.As(err, &failed):
		fmt.Println("refused:", failed.Failed[0].Item)
	case errors.Is(err, outbox.ErrUnknownOutcome):
		fmt.Println("ask again:", tx.Commit(ctx))
	}
	// Output: written
}

// A function that handles an event outside the inbox passes its cause on by the context.
func ExampleCausedBy() {
	client := newDB()
	event := record.Event{ID: "e-1", CorrelationID: "e-0"}
	ctx := outbox.CausedBy(context.Background(), event)
	tx := outbox.New(client, outbox.Config{Table: "outbox", Source: "shipping"}).Begin(ctx)
	tx.Append(outbox.Event{Type: "ShipmentRequested", AggregateType: "Shipment", AggregateID: "s-1", Version: 1})
	if err := tx.Commit(ctx); err != nil {
		fmt.Println(err)
	}
	item := client.Items("outbox")[0]
	fmt.Println("caused by", stringOf(item, "causationId"), "in", stringOf(item, "correlationId"))
	// Output: caused by e-1 in e-0
}

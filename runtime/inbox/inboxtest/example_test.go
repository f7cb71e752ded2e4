package inboxtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/inbox/inboxtest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// ship is the consumer under test: a shipment for each order, and an event about it.
func ship(_ context.Context, tx *outbox.Tx, event record.Event) error {
	var order struct{ Address string }
	if err := json.Unmarshal(event.Data, &order); err != nil {
		return inbox.Permanent(err) // no retry will fix it
	}
	if order.Address == "" {
		return errors.New("the address is not known yet")
	}
	tx.Put(types.Put{TableName: aws.String("shipments"), Item: map[string]types.AttributeValue{
		"orderId": &types.AttributeValueMemberS{Value: event.AggregateID},
		"to":      &types.AttributeValueMemberS{Value: order.Address},
	}})
	tx.Append(outbox.Event{Type: "ShipmentRequested", AggregateType: "Shipment", AggregateID: event.AggregateID, Version: 1})
	return nil
}

// ordered is an event of the service that the consumer listens to.
func ordered(id, data string) record.Event {
	return record.Event{
		ID: id, Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: "order-" + id, Version: 1,
		OccurredAt: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Data: json.RawMessage(data),
	}
}

// newConsumer returns the handler of ship, and what it works with.
func newConsumer() (inbox.LambdaHandler, *inboxtest.DB, *inboxtest.Queue) {
	db, queue := inboxtest.NewDB(map[string][]string{"shipments": {"orderId"}}), &inboxtest.Queue{}
	return inbox.Handler(inboxtest.NewStore(db, queue), ship), db, queue
}

// An event that is delivered twice has its effects once.
func ExampleHandle() {
	handler, db, _ := newConsumer()
	message := inboxtest.Message(ordered("e1", `{"address":"Kiel"}`))

	failed, err := inboxtest.Handle(context.Background(), handler, message, message)
	fmt.Println(len(failed), "failed,", err)
	fmt.Println(db.Items("shipments"))
	for _, event := range db.Events() {
		fmt.Println(event.Type, event.AggregateID, "because of", event.CausationID)
	}
	// Output:
	// 0 failed, <nil>
	// [map[orderId:order-e1 to:Kiel]]
	// ShipmentRequested order-e1 because of e1
}

// An event that fails comes back, and the others of its batch do not.
func ExampleMessage() {
	handler, db, _ := newConsumer()

	failed, _ := inboxtest.Handle(context.Background(), handler,
		inboxtest.Message(ordered("e1", `{"address":"Kiel"}`)), inboxtest.Message(ordered("e2", `{}`)))
	fmt.Println(failed, "comes back")
	fmt.Println(len(db.Items("shipments")), "shipment")
	// Output:
	// [e2] comes back
	// 1 shipment
}

// An event that no retry can fix waits in the dead-letter queue.
func ExampleQueue() {
	handler, _, queue := newConsumer()

	failed, _ := inboxtest.Handle(context.Background(), handler, inboxtest.Message(ordered("e1", `"no object"`)))
	fmt.Println(len(failed), "come back")
	for _, message := range queue.DeadLetters() {
		fmt.Println(message.Reason)
	}
	// Output:
	// 0 come back
	// json: cannot unmarshal string into Go value of type struct { Address string }
}

// Whatever happens to the writes, the effects are there once.
func ExampleDB_Inject() {
	handler, db, _ := newConsumer()
	message := inboxtest.Message(ordered("e1", `{"address":"Kiel"}`))

	db.Inject(inboxtest.Throttled, inboxtest.Conflict, inboxtest.LostAnswer)
	failed, err := inboxtest.Handle(context.Background(), handler, message)
	fmt.Println(len(failed), "failed,", err)
	fmt.Println(db.FaultsLeft(), "faults are left")
	fmt.Println(len(db.Items("shipments")), "shipment,", len(db.Events()), "event")
	// Output:
	// 0 failed, <nil>
	// 0 faults are left
	// 1 shipment, 1 event
}

// A consumer's tables may hold something already.
func ExampleDB_Put() {
	db := inboxtest.NewDB(map[string][]string{"stock": {"sku"}})
	db.Put("stock", map[string]any{"sku": "tea", "units": 3})
	fmt.Println(db.Items("stock"))
	// Output:
	// [map[sku:tea units:3]]
}

// An envelope that was recorded on a bus is a message too, as is one that is damaged.
func ExampleEnvelope() {
	handler, _, _ := newConsumer()

	failed, err := inboxtest.Handle(context.Background(), handler,
		inboxtest.Envelope(`{"source":"orders","detail-type":"OrderCreated","detail":{"id":"e1","type":"OrderCreated","aggregateType":"Order",
			"aggregateId":"o1","version":"1","occurredAt":"1793611801000","data":{"S":"{\"address\":\"Kiel\"}"},"traceparent":{"S":""}}}`),
		inboxtest.Envelope("damaged"))
	fmt.Println(len(failed), "failed,", err)
	// Output:
	// 1 failed, <nil>
}

// A batch that was recorded where the consumer failed is handed over again, message by message as Lambda did.
func ExampleReadBatch() {
	handler, db, queue := newConsumer()

	messages, err := inboxtest.ReadBatch("testdata/batch.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	failed, err := inboxtest.Handle(context.Background(), handler, messages...)
	fmt.Println(failed, "comes back,", err)
	fmt.Println(len(db.Items("shipments")), "shipment,", len(queue.DeadLetters()), "dead-letter message")
	// Output:
	// [m2] comes back, <nil>
	// 1 shipment, 1 dead-letter message
}

// What a consumer appends is what the next one receives: its test hands it over.
func ExampleDB_Events() {
	handler, db, _ := newConsumer()
	_, err := inboxtest.Handle(context.Background(), handler, inboxtest.Message(ordered("e1", `{"address":"Kiel"}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	next := inbox.Handler(inboxtest.NewStore(inboxtest.NewDB(nil), &inboxtest.Queue{}), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		fmt.Println(event.Type, "of", event.AggregateType, event.AggregateID, "because of", event.CausationID)
		return nil
	})
	for _, event := range db.Events() {
		failed, err := inboxtest.Handle(context.Background(), next, inboxtest.Message(event))
		fmt.Println(len(failed), "failed,", err)
	}
	// Output:
	// ShipmentRequested of Shipment order-e1 because of e1
	// 0 failed, <nil>
}

// A test that needs another configuration changes the usual one.
func ExampleConfig() {
	config := inboxtest.Config()
	config.Consumer = "shipping"
	store, err := inbox.New(inboxtest.NewDB(map[string][]string{"shipments": {"orderId"}}), &inboxtest.Queue{}, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	failed, err := inboxtest.Handle(context.Background(), inbox.Handler(store, ship), inboxtest.Message(ordered("e1", `{"address":"Kiel"}`)))
	fmt.Println(len(failed), "failed,", err)
	// Output:
	// 0 failed, <nil>
}

package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// exampleStore is what inbox.FromEnv returns in a Lambda function, with the SDK's clients.
func exampleStore() *inbox.Store {
	store, err := inbox.New(newDB(), &queues{}, inbox.Config{
		Table: "inbox", Consumer: "shipping", TTL: 58 * 24 * time.Hour,
		QueueURL:           "https://sqs.eu-central-1.amazonaws.com/000000000000/shipping",
		DeadLetterQueueURL: "https://sqs.eu-central-1.amazonaws.com/000000000000/shipping-dlq",
		Outbox:             outbox.Config{Table: "outbox", Source: "shipping"},
		Logger:             slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		panic(err)
	}
	return store
}

// A consumer that creates a shipment for each order and tells about it, once, however often the event
// comes. In main: lambda.Start(handler).
func ExampleHandler() {
	handler := inbox.Handler(exampleStore(), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
		var order struct{ OrderID string }
		if err := json.Unmarshal(event.Data, &order); err != nil {
			return inbox.Permanent(err) // no retry will fix it
		}
		fmt.Println("shipping", order.OrderID)
		tx.Put(types.Put{
			TableName: aws.String("shipments"),
			Item:      map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: order.OrderID}},
		})
		tx.Append(outbox.Event{Type: "ShipmentRequested", AggregateType: "Shipment", AggregateID: order.OrderID, Version: 1, Data: order})
		return nil
	}, inbox.ReadFirst())

	for range 2 {
		response, err := handler(context.Background(), batch(message("e1", "o-1001", 1)))
		fmt.Println(len(response.BatchItemFailures), "failed,", err)
	}
	// Output:
	// shipping o-1001
	// 0 failed, <nil>
	// 0 failed, <nil>
}

// Versions of one order that arrive in the wrong order take effect in the right one.
func ExampleInOrder() {
	handler := inbox.Handler(exampleStore(), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		fmt.Println("version", event.Version)
		return nil
	}, inbox.InOrder(), inbox.ReadFirst())

	for _, version := range []int{2, 1, 2} {
		id := fmt.Sprintf("e%d", version)
		response, _ := handler(context.Background(), batch(message(id, "o-1001", version)))
		if len(response.BatchItemFailures) == 1 {
			fmt.Println("version", version, "comes back later")
		}
	}
	// Output:
	// version 2 comes back later
	// version 1
	// version 2
}

// An effect outside DynamoDB. The event's id lets the other side recognize a repetition.
func ExampleEffectHandler() {
	handler := inbox.EffectHandler(exampleStore(), func(_ context.Context, event record.Event) error {
		fmt.Println("POST /emails, Idempotency-Key:", event.ID)
		return nil
	})
	for range 2 {
		_, err := handler(context.Background(), batch(message("e1", "o-1001", 1)))
		fmt.Println(err)
	}
	// Output:
	// POST /emails, Idempotency-Key: e1
	// <nil>
	// <nil>
}

func ExamplePermanent() {
	err := inbox.Permanent(errors.New("order o-1001 was cancelled"))
	fmt.Println(err)
	// Output: order o-1001 was cancelled
}

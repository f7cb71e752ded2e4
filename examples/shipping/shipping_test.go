package main

import (
	"context"
	"errors"
	"testing"

	"github.com/outboxkit/transactional-outbox/outboxtest"
)

// order is what OrderCreated says here.
func order(id string) outboxtest.Publication {
	return outboxtest.Publication{Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: id}
}

// An order is shipped once, however often its event is delivered.
func TestOrderIsShippedOnce(t *testing.T) {
	t.Parallel()
	run := outboxtest.Start(t)
	event := run.Publish(t, order("o-1"))
	event.HandledBy(t, "Ship")
	run.Deliver(t, event, "Ship") // again, as SQS may
	event.Effects(t, "Ship").Is(1)
	if item := run.Item(t, "Shipments", map[string]any{"orderId": "o-1"}); item == nil {
		t.Error("there is no shipment of the order")
	}
	run.NoDeadLetters(t)
}

// A function that fails gets the event again until the queue gives it up.
func TestWhatFailsIsADeadLetter(t *testing.T) {
	t.Parallel()
	run := outboxtest.Start(t)
	run.Stub(t, "Ship", func(context.Context, *outboxtest.Event) error { return errors.New("no ship in port") }, outboxtest.Aggregate("Order", "o-2"))
	event := run.Publish(t, order("o-2"))
	for range 5 {
		event.RetryNow(t, "Ship") // without the minutes until the message comes back
	}
	event.DeadLetteredBy(t, "Ship")
	event.Effects(t, "Ship").Is(0)
}

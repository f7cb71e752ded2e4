package main

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumertest"
)

// testdata/events.json holds OrderCreated, the ShipmentRequested that follows from it, an event without a
// customer, one whose data is no object, and one of a type that is nobody's business.
func TestNotifications(t *testing.T) {
	r := consumertest.Handle(t, "events.json", notifications{table: "notifications"}.add)
	if len(r.Failed) != 0 {
		t.Errorf("messages %v come back, none can be mended by that", r.Failed)
	}
	if len(r.Refused) != 3 || !strings.Contains(r.Refused[0], "customerId") || !strings.Contains(r.Refused[1], "OrderCreated") || !strings.Contains(r.Refused[2], "OrderLost") {
		t.Errorf("dead letters are %q, want one for each of the last three events", r.Refused)
	}
	want := []map[string]any{
		{
			"customerId": "c-42", "notification": "2026-11-02T09:30:01.000Z#order-1-1", "orderId": "order-1",
			"eventType": "OrderCreated", "text": "We have received your order order-1.",
		},
		{
			"customerId": "c-42", "notification": "2026-11-02T09:30:01.250Z#0192d3a4-5b6c-7d8e-9f00-0123456789ab", "orderId": "order-1",
			"eventType": "ShipmentRequested", "text": "We are getting your order order-1 ready for shipment.",
		},
	}
	if len(r.Commits) != len(want) {
		t.Fatalf("%d transactions, want %d", len(r.Commits), len(want))
	}
	for i, item := range want {
		added := r.Commits[i].To("notifications")
		if len(added) != 1 || len(r.Commits[i].To(consumertest.InboxTable)) != 1 || len(r.Commits[i]) != 2 {
			t.Fatalf("transaction %d is %v, want a marker and a notification", i, r.Commits[i])
		}
		consumertest.Want(t, added[0].Item, item)
	}
}

// TestWireNamesWhatIsMissing: a function that is not wired says so when it starts, not at the first event.
func TestWireNamesWhatIsMissing(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	_, err := wire(t.Context())
	for _, name := range []string{"NOTIFICATIONS_TABLE", "INBOX_TABLE", "CONSUMER_DLQ_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
	}
}

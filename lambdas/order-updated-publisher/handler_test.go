package main

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumertest"
)

// testdata/events.json holds versions 1 and 2 of an order, version 3 of a type that changes no status,
// version 12, and two orders whose data holds no status.
func TestHistory(t *testing.T) {
	r := consumertest.Handle(t, "events.json", history{table: "orders"}.add)
	if len(r.Failed) != 0 {
		t.Errorf("messages %v come back, none can be mended by that", r.Failed)
	}
	if len(r.Refused) != 2 || !strings.Contains(r.Refused[0], "status") || !strings.Contains(r.Refused[1], "OrderCreated") {
		t.Errorf("dead letters are %q, want one for each of the last two events", r.Refused)
	}
	want := []map[string]any{
		{"id": "order-1", "entity": "history#0000000001", "version": 1.0, "status": "CREATED", "occurredAt": 1793611801000.0, "eventId": "order-1-1"},
		{"id": "order-1", "entity": "history#0000000002", "version": 2.0, "status": "CONFIRMED", "occurredAt": 1793611802000.0, "eventId": "0192d3a4-5b6c-7d8e-9f00-000000000002"},
		nil, // acknowledged: the inbox remembers it, and nothing else is written
		{"id": "order-1", "entity": "history#0000000012", "version": 12.0, "status": "SHIPPED", "occurredAt": 1793611804000.0, "eventId": "0192d3a4-5b6c-7d8e-9f00-000000000004"},
	}
	if len(r.Commits) != len(want) {
		t.Fatalf("%d transactions, want %d", len(r.Commits), len(want))
	}
	for i, item := range want {
		added := r.Commits[i].To("orders")
		if item == nil {
			if len(added) != 0 {
				t.Errorf("transaction %d writes %v, want nothing", i, added)
			}
			continue
		}
		if len(added) != 1 || len(r.Commits[i].To(consumertest.InboxTable)) != 1 || len(r.Commits[i]) != 2 {
			t.Fatalf("transaction %d is %v, want a mark of the inbox and an item", i, r.Commits[i])
		}
		consumertest.Want(t, added[0].Item, item)
	}
}

// TestWireNamesWhatIsMissing: a function that is not wired says so when it starts, not at the first event.
func TestWireNamesWhatIsMissing(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	_, err := wire(t.Context())
	for _, name := range []string{"ORDERS_TABLE", "INBOX_TABLE", "CONSUMER_DLQ_URL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
	}
}

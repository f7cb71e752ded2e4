package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/inbox/inboxtest"
)

// testdata/events.json holds OrderCreated, the ShipmentRequested that follows from it, an event without a
// customer, one whose data is no object, and one of a type that is nobody's business.
func TestNotifications(t *testing.T) {
	messages, err := inboxtest.ReadBatch("testdata/events.json")
	if err != nil {
		t.Fatal(err)
	}
	db, queue := inboxtest.NewDB(map[string][]string{"notifications": {"customerId", "notification"}}), &inboxtest.Queue{}
	handler := inbox.Handler(inboxtest.NewStore(db, queue), notifications{table: "notifications"}.add)
	for _, delivery := range []string{"the first", "the second"} {
		if failed, err := inboxtest.Handle(t.Context(), handler, messages...); len(failed) != 0 || err != nil {
			t.Errorf("at %s delivery messages %v come back (%v), none can be fixed by that", delivery, failed, err)
		}
	}
	refused := queue.DeadLetters()[:3]
	if !strings.Contains(refused[0].Reason, "customerId") || !strings.Contains(refused[1].Reason, "OrderCreated") || !strings.Contains(refused[2].Reason, "OrderLost") {
		t.Errorf("dead-letter messages are %q, want one for each of the last three events", refused)
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
	if got := db.Items("notifications"); !reflect.DeepEqual(got, want) {
		t.Errorf("notifications are %v, want %v", got, want)
	}
	if markers := db.Items(inboxtest.InboxTable); len(markers) != len(want) || len(db.Events()) != 0 {
		t.Errorf("markers are %v, want one for each notification; events are %v, want none", markers, db.Events())
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

package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/inbox/inboxtest"
)

// testdata/events.json holds versions 1 and 2 of an order, version 3 of a type that changes no status,
// version 12, and two orders whose data holds no status.
func TestHistory(t *testing.T) {
	messages, err := inboxtest.ReadBatch("testdata/events.json")
	if err != nil {
		t.Fatal(err)
	}
	db, queue := inboxtest.NewDB(map[string][]string{"orders": {"id", "entity"}}), &inboxtest.Queue{}
	handler := inbox.Handler(inboxtest.NewStore(db, queue), history{table: "orders"}.add)
	if failed, err := inboxtest.Handle(t.Context(), handler, messages...); len(failed) != 0 || err != nil {
		t.Errorf("messages %v come back (%v), none can be fixed by that", failed, err)
	}
	refused := queue.DeadLetters()
	if len(refused) != 2 || !strings.Contains(refused[0].Reason, "status") || !strings.Contains(refused[1].Reason, "OrderCreated") {
		t.Errorf("dead-letter messages are %q, want one for each of the last two events", refused)
	}
	want := []map[string]any{
		{"id": "order-1", "entity": "history#0000000001", "version": 1.0, "status": "CREATED", "occurredAt": 1793611801000.0, "eventId": "order-1-1"},
		{"id": "order-1", "entity": "history#0000000002", "version": 2.0, "status": "CONFIRMED", "occurredAt": 1793611802000.0, "eventId": "0192d3a4-5b6c-7d8e-9f00-000000000002"},
		{"id": "order-1", "entity": "history#0000000012", "version": 12.0, "status": "SHIPPED", "occurredAt": 1793611804000.0, "eventId": "0192d3a4-5b6c-7d8e-9f00-000000000004"},
	}
	if got := db.Items("orders"); !reflect.DeepEqual(got, want) {
		t.Errorf("the history is %v, want %v", got, want)
	}
	// The event that changes no status is acknowledged: the inbox remembers it, and nothing else is written.
	if markers := db.Items(inboxtest.InboxTable); len(markers) != len(want)+1 || len(db.Events()) != 0 {
		t.Errorf("markers are %v, want one for each event that was handled; events are %v, want none", markers, db.Events())
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

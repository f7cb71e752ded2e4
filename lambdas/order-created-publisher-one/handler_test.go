package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/inbox/inboxtest"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// testdata/orders.json holds an order, an event without items, one whose data is no object, and an order.
func TestShipments(t *testing.T) {
	messages, err := inboxtest.ReadBatch("testdata/orders.json")
	if err != nil {
		t.Fatal(err)
	}
	handler, db, queue := newConsumer()
	if failed, err := inboxtest.Handle(t.Context(), handler, messages...); len(failed) != 0 || err != nil {
		t.Errorf("messages %v come back (%v), none can be fixed by that", failed, err)
	}
	refused := queue.DeadLetters()
	if len(refused) != 2 || !strings.Contains(refused[0].Reason, "items") || !strings.Contains(refused[1].Reason, "OrderCreated") {
		t.Errorf("dead-letter messages are %q, want that the second has no items and the third is no order", refused)
	}
	orders := []struct {
		id    string
		units float64
		cause string
	}{{"order-1", 3, "order-1-1"}, {"order-4", 3, "order-4-1"}}
	written, appended := db.Items("orders"), db.Events()
	if len(written) != len(orders) || len(appended) != len(orders) || len(db.Items(inboxtest.InboxTable)) != len(orders) {
		t.Fatalf("shipments are %v, events %v, want one for each of %v", written, appended, orders)
	}
	for i, want := range orders {
		shipment := map[string]any{
			"id": want.id, "entity": "shipment", "status": "REQUESTED", "units": want.units, "requestedAt": float64(appended[i].OccurredAt.UnixMilli()),
		}
		if !reflect.DeepEqual(written[i], shipment) {
			t.Errorf("the shipment is %v, want %v", written[i], shipment)
		}
		e := appended[i]
		if e.Type != "ShipmentRequested" || e.AggregateType != "Shipment" || e.AggregateID != want.id || e.Version != 1 || e.CausationID != want.cause {
			t.Errorf("the event is %+v", e)
		}
		wantData(t, e.Data, map[string]any{"orderId": want.id, "customerId": "c-42", "units": want.units})
	}
}

// TestOneShipmentAnOrder: another event about an order that is shipped has no effect, and its message comes back.
func TestOneShipmentAnOrder(t *testing.T) {
	messages, err := inboxtest.ReadBatch("testdata/orders.json")
	if err != nil {
		t.Fatal(err)
	}
	handler, db, _ := newConsumer()
	db.Put("orders", map[string]any{"id": "order-1", "entity": "shipment", "status": "SENT"})
	failed, err := inboxtest.Handle(t.Context(), handler, messages[0])
	if len(failed) != 1 || err != nil || len(db.Events()) != 0 || db.Items("orders")[0]["status"] != "SENT" {
		t.Errorf("%v come back (%v), the shipment is %v", failed, err, db.Items("orders"))
	}
}

func newConsumer() (inbox.LambdaHandler, *inboxtest.DB, *inboxtest.Queue) {
	db, queue := inboxtest.NewDB(map[string][]string{"orders": {"id", "entity"}}), &inboxtest.Queue{}
	return inbox.Handler(inboxtest.NewStore(db, queue), shipments{table: "orders"}.request), db, queue
}

// TestQuantityIsTheNumberThatItIs: every spelling of a whole number is that number, and nothing else is one.
func TestQuantityIsTheNumberThatItIs(t *testing.T) {
	for raw, want := range map[string]int64{
		"1": 1, "1.0": 1, "1e0": 1, "10": 10, "1e1": 10, "1E+1": 10, "100e-1": 10, "10000": 10_000, "1.0000e4": 10_000,
	} {
		got, err := shipmentOf(ordered(raw))
		if err != nil || got.Units != want {
			t.Errorf("a quantity of %s is %d units (%v), want %d", raw, got.Units, err, want)
		}
	}
	for _, raw := range []string{"0.5", `"1"`, "1e400", "9007199254740993", "[]", "true"} {
		if got, err := shipmentOf(ordered(raw)); err == nil {
			t.Errorf("a quantity of %s is %d units, want an error", raw, got.Units)
		}
	}
}

func ordered(quantity string) record.Event {
	return record.Event{Type: "OrderCreated", AggregateID: "o", Data: json.RawMessage(`{"customerId":"c","items":[{"quantity":` + quantity + `}]}`)}
}

// wantData checks that ShipmentRequested carries these fields and no others.
func wantData(t *testing.T, data json.RawMessage, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("data is %v, want %v", got, want)
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

package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumertest"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// testdata/orders.json holds an order, an event without items, one whose data is no object, and an order.
func TestShipments(t *testing.T) {
	r := consumertest.Handle(t, "orders.json", shipments{table: "orders"}.request)
	if len(r.Failed) != 0 {
		t.Errorf("messages %v come back, none can be mended by that", r.Failed)
	}
	if len(r.Refused) != 2 || !strings.Contains(r.Refused[0], "items") || !strings.Contains(r.Refused[1], "OrderCreated") {
		t.Errorf("dead letters are %q, want that the second has no items and the third is no order", r.Refused)
	}
	orders := []struct {
		id    string
		units float64
		cause string
	}{{"order-1", 3, "order-1-1"}, {"order-4", 3, "order-4-1"}}
	if len(r.Commits) != len(orders) {
		t.Fatalf("%d transactions, want %d", len(r.Commits), len(orders))
	}
	for i, want := range orders {
		shipment, event := r.Commits[i].To("orders"), r.Commits[i].To(consumertest.OutboxTable)
		if len(shipment) != 1 || len(event) != 1 || len(r.Commits[i].To(consumertest.InboxTable)) != 1 || len(r.Commits[i]) != 3 {
			t.Fatalf("transaction %d is %v, want a marker, a shipment and an event", i, r.Commits[i])
		}
		consumertest.Want(t, shipment[0].Item, map[string]any{
			"id": want.id, "entity": "shipment", "status": "REQUESTED", "units": want.units, "requestedAt": event[0].Item["occurredAt"],
		})
		if shipment[0].Condition != "attribute_not_exists(id)" {
			t.Errorf("the shipment is written if %q, want only if there is none", shipment[0].Condition)
		}
		consumertest.Want(t, event[0].Item, map[string]any{
			"type": "ShipmentRequested", "source": "orders", "aggregateType": "Shipment", "aggregateId": want.id,
			"version": 1.0, "causationId": want.cause,
		})
		wantData(t, event[0].Item["data"], map[string]any{"orderId": want.id, "customerId": "c-42", "units": want.units})
	}
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
func wantData(t *testing.T, data any, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	if err := json.Unmarshal([]byte(data.(string)), &got); err != nil {
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

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An order is what fulfillment needs of an OrderCreated event. The order's id is the aggregate's.
type order struct {
	CustomerID string `json:"customerId"`
	Items      []struct {
		Quantity wholeNumber `json:"quantity"`
	} `json:"items"`
}

// A wholeNumber is an integer however JSON spells it: 10, 10.0 and 1e1 are the same number. Go's decoder takes the
// first spelling only, but a validator, or another producer on the bus, may let all of them through.
type wholeNumber int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *wholeNumber) UnmarshalJSON(raw []byte) error {
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	// Below 2^53 a float64 holds every integer.
	if f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return fmt.Errorf("quantity must be a whole number below 2^53, got %s", raw)
	}
	*n = wholeNumber(f)
	return nil
}

// A shipmentRequested is the data of the event ShipmentRequested, and all that its consumers get to know.
type shipmentRequested struct {
	OrderID    string `json:"orderId"`
	CustomerID string `json:"customerId"`
	Units      int64  `json:"units"`
}

// shipments writes shipments into the table of orders, each beside its order.
type shipments struct{ table string }

// request adds the order's shipment and the event ShipmentRequested to the transaction.
func (s shipments) request(_ context.Context, tx *outbox.Tx, event record.Event) error {
	requested, err := shipmentOf(event)
	if err != nil {
		return inbox.Permanent(err) // it reads the same the next time
	}
	now := time.Now()
	tx.Put(types.Put{
		TableName: &s.table,
		Item: map[string]types.AttributeValue{
			"id":          text(requested.OrderID),
			"entity":      text("shipment"),
			"status":      text("REQUESTED"),
			"units":       number(requested.Units),
			"requestedAt": number(now.UnixMilli()),
		},
		// The inbox keeps an event from being handled twice. This keeps an order from being shipped twice,
		// whatever event says that it was created.
		ConditionExpression: aws.String("attribute_not_exists(id)"),
	})
	tx.Append(outbox.Event{
		Type:          "ShipmentRequested",
		AggregateType: "Shipment",
		AggregateID:   requested.OrderID,
		Version:       1, // the condition above allows no other event of this shipment before
		OccurredAt:    now,
		Data:          requested,
	})
	return nil
}

func shipmentOf(event record.Event) (shipmentRequested, error) {
	var o order
	if err := json.Unmarshal(event.Data, &o); err != nil {
		return shipmentRequested{}, fmt.Errorf("data of %s: %w", event.Type, err)
	}
	if o.CustomerID == "" || len(o.Items) == 0 {
		return shipmentRequested{}, fmt.Errorf("data of %s must hold customerId and one or more items", event.Type)
	}
	requested := shipmentRequested{OrderID: event.AggregateID, CustomerID: o.CustomerID}
	for _, item := range o.Items {
		requested.Units += int64(item.Quantity)
	}
	return requested, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// order is what fulfilment needs of an OrderCreated event.
type order struct {
	OrderID string `json:"orderId"`
	Items   []struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	} `json:"items"`
}

// publish tells how many units of how many items the new order needs.
func publish(_ context.Context, event record.Event) ([]slog.Attr, error) {
	var o order
	if err := json.Unmarshal(event.Data, &o); err != nil {
		return nil, fmt.Errorf("data of %s: %w", event.Type, err)
	}
	if o.OrderID == "" || len(o.Items) == 0 {
		return nil, fmt.Errorf("data of %s holds no order: it needs orderId and items", event.Type)
	}
	units := 0
	for _, item := range o.Items {
		units += item.Quantity
	}
	return []slog.Attr{slog.Int("items", len(o.Items)), slog.Int("units", units)}, nil
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// order is what billing needs of an OrderCreated event. Prices are in minor units of the currency.
type order struct {
	OrderID  string `json:"orderId"`
	Currency string `json:"currency"`
	Items    []struct {
		Quantity  int64 `json:"quantity"`
		UnitPrice int64 `json:"unitPrice"`
	} `json:"items"`
}

// publish tells what the new order is worth, in minor units of its currency.
func publish(_ context.Context, event record.Event) ([]slog.Attr, error) {
	var o order
	if err := json.Unmarshal(event.Data, &o); err != nil {
		return nil, fmt.Errorf("data of %s: %w", event.Type, err)
	}
	if o.OrderID == "" || o.Currency == "" || len(o.Items) == 0 {
		return nil, fmt.Errorf("data of %s holds no order: it needs orderId, currency and items", event.Type)
	}
	var total int64
	for _, item := range o.Items {
		total += item.Quantity * item.UnitPrice
	}
	return []slog.Attr{slog.Int64("total", total), slog.String("currency", o.Currency)}, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// texts are the notifications by event type. The order's id is the aggregate's.
var texts = map[string]string{
	"OrderCreated":      "We have received your order %s.",
	"ShipmentRequested": "We are getting your order %s ready for shipment.",
}

// notifications writes the table of notifications: a list for each customer, in the order in which things happened.
type notifications struct{ table string }

// sortable is RFC 3339 with milliseconds: all texts have the same length and sort by time.
const sortable = "2006-01-02T15:04:05.000Z07:00"

// add adds a notification about the event to the transaction.
func (n notifications) add(_ context.Context, tx *outbox.Tx, event record.Event) error {
	customer, message, err := read(event)
	if err != nil {
		return inbox.Permanent(err) // it reads the same the next time
	}
	tx.Put(types.Put{
		TableName: &n.table,
		Item: map[string]types.AttributeValue{
			"customerId":   text(customer),
			"notification": text(event.OccurredAt.UTC().Format(sortable) + "#" + event.ID),
			"orderId":      text(event.AggregateID),
			"eventType":    text(event.Type),
			"text":         text(message),
		},
	})
	return nil
}

func read(event record.Event) (customer, message string, err error) {
	format, known := texts[event.Type]
	if !known {
		return "", "", fmt.Errorf("the event must be of a type that customers are told about, got %q", event.Type)
	}
	var data struct {
		CustomerID string `json:"customerId"`
	}
	if err := json.Unmarshal(event.Data, &data); err != nil {
		return "", "", fmt.Errorf("data of %s: %w", event.Type, err)
	}
	if data.CustomerID == "" {
		return "", "", errors.New("data of " + event.Type + " must hold customerId")
	}
	return data.CustomerID, fmt.Sprintf(format, event.AggregateID), nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

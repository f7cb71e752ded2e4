package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// history writes the table of orders: an item for each version, beside the order.
type history struct{ table string }

// entity is the sort key of a version's item: items sort by version, up to ten digits.
const entity = "history#%010d"

// add adds the status that the order has with the event's version to the transaction. An event of another type changes
// no status; it is acknowledged, because the inbox counts every version.
func (h history) add(_ context.Context, tx *outbox.Tx, event record.Event) error {
	if event.Type != "OrderCreated" && event.Type != "OrderUpdated" {
		return nil
	}
	status, err := statusOf(event)
	if err != nil {
		return inbox.Permanent(err) // it reads the same the next time
	}
	tx.Put(types.Put{
		TableName: &h.table,
		Item: map[string]types.AttributeValue{
			"id":         text(event.AggregateID),
			"entity":     text(fmt.Sprintf(entity, event.Version)),
			"version":    number(event.Version),
			"status":     text(status),
			"occurredAt": number(event.OccurredAt.UnixMilli()),
			"eventId":    text(event.ID),
		},
	})
	return nil
}

func statusOf(event record.Event) (string, error) {
	var data struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(event.Data, &data); err != nil {
		return "", fmt.Errorf("data of %s: %w", event.Type, err)
	}
	if data.Status == "" {
		return "", fmt.Errorf("data of %s must hold status", event.Type)
	}
	return data.Status, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

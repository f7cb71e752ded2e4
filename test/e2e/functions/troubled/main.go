// Command troubled is a consumer with an inbox that counts in an item of each order how often the order was shipped: an
// effect that would show if it took place twice. It panics when an order's note is "panic once", and works past its
// deadline when the note is "hang once": once for each order in the life of the process.
package main

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/testconsumer"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() {
	testconsumer.Start((&shipping{table: os.Getenv("ORDERS_TABLE")}).handle)
}

type shipping struct {
	table string
	seen  sync.Map // ids of the events that were received before
}

func (s *shipping) handle(ctx context.Context, tx *outbox.Tx, event record.Event) error {
	var order struct{ Note string }
	if err := json.Unmarshal(event.Data, &order); err != nil {
		return inbox.Permanent(err)
	}
	tx.Update(types.Update{
		TableName: aws.String(s.table),
		Key: map[string]types.AttributeValue{
			"id":     &types.AttributeValueMemberS{Value: event.AggregateID},
			"entity": &types.AttributeValueMemberS{Value: "shipment"},
		},
		UpdateExpression:          aws.String("ADD times :one"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
	})
	if _, again := s.seen.LoadOrStore(event.ID, true); again {
		return nil
	}
	switch order.Note {
	case "panic once":
		panic("the order's note asks for a panic")
	case "hang once":
		deadline, _ := ctx.Deadline()
		time.Sleep(time.Until(deadline) + time.Minute)
	}
	return nil
}

// Command journal is an ordered consumer whose effect keeps the order in which it took place: it appends
// each event to its aggregate's list.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/testconsumer"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() {
	table, entity := os.Getenv("LEDGER_TABLE"), os.Getenv("LEDGER_ENTITY")
	testconsumer.Start(func(_ context.Context, tx *outbox.Tx, event record.Event) error {
		tx.Update(types.Update{
			TableName:        &table,
			Key:              map[string]types.AttributeValue{"id": text(event.AggregateID), "entity": text(entity)},
			UpdateExpression: aws.String("SET entries = list_append(if_not_exists(entries, :none), :entry)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":none":  &types.AttributeValueMemberL{},
				":entry": &types.AttributeValueMemberL{Value: []types.AttributeValue{text(fmt.Sprintf("%d %s", event.Version, event.ID))}},
			},
		})
		return nil
	}, inbox.InOrder())
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

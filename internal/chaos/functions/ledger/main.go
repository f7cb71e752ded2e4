// Command ledger is a consumer with an effect that is not idempotent: it counts how often it was done. The
// production consumers write items under keys of their own, so that a second effect would not show; here
// it does. All that keeps the count at one is the inbox.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/testconsumer"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() {
	table, entity := os.Getenv("LEDGER_TABLE"), os.Getenv("LEDGER_ENTITY")
	testconsumer.Start(func(_ context.Context, tx *outbox.Tx, event record.Event) error {
		tx.Update(types.Update{
			TableName:        &table,
			Key:              map[string]types.AttributeValue{"id": text(event.ID), "entity": text(entity)},
			UpdateExpression: aws.String("ADD times :one"),
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":one": &types.AttributeValueMemberN{Value: "1"},
			},
		})
		return nil
	})
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

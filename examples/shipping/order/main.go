// Command order places an order: it writes the order and the event that tells about it in one transaction. It needs
// ORDERS_TABLE, OUTBOX_TABLE and OUTBOX_SOURCE, and region and credentials as for the AWS CLI. In Lambda the construct's
// GrantWrite sets the outbox's variables.
//
//	go run ./order ID
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: order ID")
	}
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	o, err := outbox.FromEnv(dynamodb.NewFromConfig(cfg))
	if err != nil {
		log.Fatal(err)
	}
	if err := place(ctx, o, os.Getenv("ORDERS_TABLE"), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// place writes an order and the event that tells about it: both or neither.
func place(ctx context.Context, o *outbox.Outbox, table, id string) error {
	tx := o.Begin(ctx)
	tx.Put(types.Put{
		TableName:           &table,
		Item:                map[string]types.AttributeValue{"orderId": &types.AttributeValueMemberS{Value: id}},
		ConditionExpression: aws.String("attribute_not_exists(orderId)"),
	})
	tx.Append(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: id, Version: 1, Data: map[string]any{"orderId": id}})
	return tx.Commit(ctx)
}

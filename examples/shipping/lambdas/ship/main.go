// Command ship is the consumer's function: it makes a shipment of each order, once, however often the
// order's event is delivered.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	store, err := inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(inbox.Handler(store, ship(os.Getenv("SHIPMENTS_TABLE"))))
}

// ship adds the shipment to the transaction that remembers the event.
func ship(table string) func(context.Context, *outbox.Tx, record.Event) error {
	return func(_ context.Context, tx *outbox.Tx, event record.Event) error {
		tx.Put(types.Put{
			TableName: &table,
			Item:      map[string]types.AttributeValue{"orderId": &types.AttributeValueMemberS{Value: event.AggregateID}},
		})
		return nil
	}
}

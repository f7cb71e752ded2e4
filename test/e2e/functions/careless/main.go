// Command careless is a consumer of orders whose effect is not in the transaction that remembers the event: a notification
// of its own for each delivery.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	db, table := dynamodb.NewFromConfig(cfg), os.Getenv("NOTIFICATIONS_TABLE")
	store, err := inbox.FromEnv(db, sqs.NewFromConfig(cfg))
	if err != nil {
		panic(err)
	}
	lambda.Start(inbox.Handler(store, func(ctx context.Context, _ *outbox.Tx, event record.Event) error {
		var about struct{ CustomerID string }
		if err := json.Unmarshal(event.Data, &about); err != nil {
			return err
		}
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{
			"customerId":   &types.AttributeValueMemberS{Value: about.CustomerID},
			"notification": &types.AttributeValueMemberS{Value: uuid.NewString()},
			"orderId":      &types.AttributeValueMemberS{Value: event.AggregateID},
		}})
		return err
	}))
}

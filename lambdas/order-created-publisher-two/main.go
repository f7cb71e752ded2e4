// Command order-created-publisher-two is the consumer that tells customers about their orders: it writes one
// notification for each OrderCreated and ShipmentRequested. For its name see order-created-publisher-one.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

func main() {
	handler, err := wire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(handler)
}

// wire makes the handler from the function's environment. Its error names every variable that is missing.
func wire(ctx context.Context) (inbox.LambdaHandler, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	store, err := inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
	table := os.Getenv("NOTIFICATIONS_TABLE")
	if table == "" {
		err = errors.Join(err, errors.New("environment variable NOTIFICATIONS_TABLE is not set"))
	}
	if err != nil {
		return nil, err
	}
	return inbox.Handler(store, notifications{table: table}.add), nil
}

// Command order-created-publisher-one is the Lambda function that has new orders shipped: for each OrderCreated it
// writes a shipment and appends the event ShipmentRequested, once.
//
// It is a consumer. The word publisher in its name, and in that of its siblings, comes from the AWS sample that this
// application grew out of, whose functions are called order_created_publisher_one and _two.
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
	table := os.Getenv("ORDERS_TABLE")
	if table == "" {
		err = errors.Join(err, errors.New("environment variable ORDERS_TABLE is not set"))
	}
	if err != nil {
		return nil, err
	}
	return inbox.Handler(store, shipments{table: table}.request), nil
}

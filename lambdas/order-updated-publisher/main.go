// Command order-updated-publisher is the Lambda function that keeps the history of each order: what became
// of it, version by version, in their order and without a gap.
package main

import (
	"errors"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/lambdaconfig"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

func main() {
	handler, err := wire()
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(handler)
}

func wire() (inbox.LambdaHandler, error) {
	table := os.Getenv("ORDERS_TABLE")
	if table == "" {
		return nil, errors.New("environment variable ORDERS_TABLE is not set")
	}
	cfg, err := lambdaconfig.FromEnv()
	if err != nil {
		return nil, err
	}
	store, err := inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
	if err != nil {
		return nil, err
	}
	return inbox.Handler(store, history{table: table}.add, inbox.InOrder()), nil
}

// Command update-order is the Lambda function behind PATCH /orders/{id}: it moves an order to its next
// status and tells about it with the event OrderUpdated, both in one transaction.
package main

import (
	"errors"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/lambdaconfig"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

func main() {
	h, err := wire()
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(h.handle)
}

func wire() (*handler, error) {
	table := os.Getenv("ORDERS_TABLE")
	if table == "" {
		return nil, errors.New("environment variable ORDERS_TABLE is not set")
	}
	cfg, err := lambdaconfig.FromEnv()
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(cfg)
	box, err := outbox.FromEnv(client)
	if err != nil {
		return nil, err
	}
	return &handler{orders: orders{table: table, db: client, outbox: box}, log: lambdacontext.NewLogger()}, nil
}

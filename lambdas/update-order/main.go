// Command update-order is the Lambda function behind PATCH /orders/{id}: it moves an order to its next status and
// appends the event OrderUpdated, both in one transaction.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

func main() {
	h, err := wire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(h.handle)
}

// wire makes the handler from the function's environment. Its error names every variable that is missing.
func wire(ctx context.Context) (*handler, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	client := dynamodb.NewFromConfig(cfg)
	box, err := outbox.FromEnv(client)
	table := os.Getenv("ORDERS_TABLE")
	if table == "" {
		err = errors.Join(err, errors.New("environment variable ORDERS_TABLE is not set"))
	}
	if err != nil {
		return nil, err
	}
	return &handler{orders: orders{table: table, db: client, outbox: box}, log: lambdacontext.NewLogger()}, nil
}

// Command order-created-publisher-one is the Lambda function that has new orders shipped: for each it
// creates a shipment and requests it with the event ShipmentRequested, once.
package main

import (
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumer"
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
	store, table, err := consumer.FromEnv("ORDERS_TABLE")
	if err != nil {
		return nil, err
	}
	return inbox.Handler(store, shipments{table: table}.request), nil
}

// Command order-updated-publisher is the Lambda function that keeps the history of each order: what became
// of it, version by version, in their order and without a gap.
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
	return inbox.Handler(store, history{table: table}.add, inbox.InOrder()), nil
}

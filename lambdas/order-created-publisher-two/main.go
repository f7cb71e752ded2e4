// Command order-created-publisher-two is the Lambda function that tells customers how their orders come
// along: it keeps a list of notifications for each customer.
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
	store, table, err := consumer.FromEnv("NOTIFICATIONS_TABLE")
	if err != nil {
		return nil, err
	}
	return inbox.Handler(store, notifications{table: table}.add), nil
}

// Command order-created-publisher-one is the Lambda function that tells fulfilment about new orders.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumer"
)

func main() {
	lambda.Start(consumer.Handler(lambdacontext.NewLogger(), publish))
}

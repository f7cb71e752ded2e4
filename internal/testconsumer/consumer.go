// Package testconsumer starts the consumers that tests put in the place of production ones, or beside them.
package testconsumer

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Start handles events with the inbox that the construct gave to the function, until the process ends.
func Start(handle func(ctx context.Context, tx *outbox.Tx, event record.Event) error, options ...inbox.Option) {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	store, err := inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(inbox.Handler(store, handle, options...))
}

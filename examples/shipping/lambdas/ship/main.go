// Command ship is the function of the consumer: it gets a batch of queue messages, each an event, and
// names those that it could not handle.
package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func main() { lambda.Start(handle) }

func handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	var response events.SQSEventResponse
	for _, message := range batch.Records {
		if err := ship(ctx, message.Body); err != nil {
			slog.ErrorContext(ctx, "not shipped", "messageId", message.MessageId, "error", err)
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
		}
	}
	return response, nil
}

func ship(ctx context.Context, body string) error {
	event, err := record.Decode([]byte(body))
	if err != nil {
		return err
	}
	slog.InfoContext(ctx, "shipped", "order", event.AggregateID, "event", event.ID)
	return nil
}

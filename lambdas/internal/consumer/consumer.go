// Package consumer answers an SQS batch of outbox events message by message: a message that does not
// decode, or whose effect fails, comes back alone, and each message leaves one line in the log.
//
//	lambda.Start(consumer.Handler(lambdacontext.NewLogger(), publish))
package consumer

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/trace"
)

// Effect is what a consumer does about one event. Its attributes join the message's log line; its error
// brings the message back, and after the queue's last receive sends it to the dead-letter queue.
//
// Delivery is at least once: an effect sees an event again after a crash, with the same ID.
type Effect func(ctx context.Context, event record.Event) ([]slog.Attr, error)

// Handler is a Lambda handler for an event source mapping with ReportBatchItemFailures. It never returns
// an error of its own: that would bring the whole batch back, the messages that succeeded included.
// Source: Lambda developer guide, services-sqs-errorhandling.
func Handler(log *slog.Logger, effect Effect) func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	return func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		// Not nil: Lambda takes a null list for success too, but an empty one says so.
		failures := []events.SQSBatchItemFailure{}
		for _, message := range batch.Records {
			if err := handle(ctx, log, message, effect); err != nil {
				failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
			}
		}
		return events.SQSEventResponse{BatchItemFailures: failures}, nil
	}
}

// handle makes one message's effect and writes its log line.
func handle(ctx context.Context, log *slog.Logger, message events.SQSMessage, effect Effect) error {
	event, err := record.Decode([]byte(message.Body))
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "message cannot be decoded",
			slog.String("messageId", message.MessageId), slog.Any("error", err))
		return err
	}
	attrs, err := effect(ctx, event)
	line := append(describe(event), attrs...)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "event failed",
			append(line, slog.String("messageId", message.MessageId), slog.Any("error", err))...)
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "event handled", line...)
	return nil
}

func describe(event record.Event) []slog.Attr {
	return []slog.Attr{
		slog.String("eventId", event.ID),
		slog.String("eventType", event.Type),
		slog.String("aggregateType", event.AggregateType),
		slog.String("aggregateId", event.AggregateID),
		slog.Int64("version", event.Version),
		slog.String("traceId", trace.XRayID(event.Traceparent)),
		slog.Int64("ageMs", time.Since(event.OccurredAt).Milliseconds()),
	}
}

// Package batch is shared by the functions of the end-to-end tests: they consume a queue as the production functions
// do, and fail when an order's note asks for it.
package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An Order is an OrderCreated event and how often its message was received.
type Order struct {
	EventID  string
	Note     string
	Receives string // how often the message has been received, including this time
}

// Says reports whether the order's note is the word, or is "<word> once" and the message is received for the first time.
func (o Order) Says(word string) bool {
	return o.Note == word || o.Note == word+" once" && o.Receives == "1"
}

// Start runs the function in Lambda. It calls handle for each message of a batch, one after another; a message for which
// handle returns an error fails alone. For each message it logs "event received" and, unless the function ends before,
// "event handled" or "event failed", with eventId and receiveCount.
func Start(handle func(context.Context, Order) error) {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		failures := []events.SQSBatchItemFailure{}
		for _, message := range batch.Records {
			if err := one(ctx, log, message, handle); err != nil {
				failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
			}
		}
		return events.SQSEventResponse{BatchItemFailures: failures}, nil
	})
}

func one(ctx context.Context, log *slog.Logger, message events.SQSMessage, handle func(context.Context, Order) error) error {
	order, err := read(message)
	log = log.With("eventId", order.EventID, "receiveCount", order.Receives)
	if err == nil {
		log.InfoContext(ctx, "event received", "note", order.Note)
		err = handle(ctx, order)
	}
	if err != nil {
		log.ErrorContext(ctx, "event failed", "error", err.Error())
		return err
	}
	log.InfoContext(ctx, "event handled")
	return nil
}

func read(message events.SQSMessage) (Order, error) {
	order := Order{Receives: message.Attributes["ApproximateReceiveCount"]}
	event, err := record.Decode([]byte(message.Body))
	if err != nil {
		return order, err
	}
	order.EventID = event.ID
	var data struct{ Note string }
	if err := json.Unmarshal(event.Data, &data); err != nil {
		return order, fmt.Errorf("data of %s: %w", event.ID, err)
	}
	order.Note = data.Note
	return order, nil
}

package inboxtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Config returns the configuration of a store over a DB and a Queue: the consumer "tested" appends its events with the source
// "tested". It handles the messages of a batch one after the other, so that a test sees the same every time, and logs
// nothing. A test may change it and call inbox.New.
func Config() inbox.Config {
	return inbox.Config{
		Table: InboxTable, Consumer: "tested", TTL: 24 * time.Hour,
		QueueURL: "https://sqs.test/tested", DeadLetterQueueURL: "https://sqs.test/tested-dead-letters",
		Outbox:      outbox.Config{Table: OutboxTable, Source: "tested"},
		Concurrency: 1, Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	}
}

// NewStore returns a store with [Config].
func NewStore(db *DB, queue *Queue) *inbox.Store {
	store, err := inbox.New(db, queue, Config())
	if err != nil {
		panic(err) // Config is complete
	}
	return store
}

// Message returns the message in which a queue delivers an event: in the envelope of the pipe, with the event's id as message
// id. It panics for an event that the pipe could not deliver (see record.Event.Validate).
func Message(event record.Event) events.SQSMessage {
	item, err := event.Item(event.OccurredAt.Add(24 * time.Hour))
	if err != nil {
		panic(fmt.Sprintf("inboxtest: %v", err))
	}
	return message(event.ID, encode(item))
}

// Envelope returns the message in which a queue delivers an envelope as it was recorded, or anything else that a consumer
// must cope with. Its message id is made from the body.
func Envelope(body string) events.SQSMessage {
	sum := sha256.Sum256([]byte(body))
	return message(hex.EncodeToString(sum[:8]), body)
}

// message returns a message that is received for the first time. Its attributes may be changed.
// Source: Lambda developer guide, with-sqs, "Example Amazon SQS message event".
func message(id, body string) events.SQSMessage {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	return events.SQSMessage{
		MessageId: id, ReceiptHandle: "handle-" + id, Body: body,
		EventSource: "aws:sqs", EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:tested", AWSRegion: "us-east-1",
		Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": now, "ApproximateFirstReceiveTimestamp": now},
	}
}

// ReadBatch returns the messages of a file that holds a batch as Lambda hands it over, an SQS event in JSON. Its error names a
// file that cannot be read or is no JSON.
func ReadBatch(file string) ([]events.SQSMessage, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(raw, &batch); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return batch.Records, nil
}

// Handle hands the messages to the handler in one batch, as Lambda does, and returns the ids of those that come back. An error
// is that of the handler: all of them come back then. A test delivers a message again by handing it over again.
func Handle(ctx context.Context, handler inbox.LambdaHandler, messages ...events.SQSMessage) (failed []string, err error) {
	response, err := handler(ctx, events.SQSEvent{Records: messages})
	if err != nil {
		for _, m := range messages {
			failed = append(failed, m.MessageId)
		}
		return failed, err
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, nil
}

package inbox_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// instant answers at once: what is left is the handler's own work.
type instant struct{}

var written = &dynamodb.TransactWriteItemsOutput{}

func (instant) TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return written, nil
}

func (instant) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

func (instant) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return &dynamodb.QueryOutput{}, nil
}

// ownWork is a handler with a function that does nothing, on a client that answers at once, and its batch:
// an order of one line in EventBridge's frame, size times.
func ownWork(t testing.TB, size int) (inbox.LambdaHandler, events.SQSEvent) {
	f := newFixture()
	f.config.Logger = newLogger(io.Discard)
	f.config.Metrics = io.Discard
	handler := inbox.Handler(f.store(t, instant{}), func(context.Context, *outbox.Tx, record.Event) error { return nil })
	return handler, events.SQSEvent{Records: slices.Repeat(readEvent(t).Records, size)}
}

// One iteration is one message: decoded, handled, committed with its marker, logged as JSON, and its share
// of what a batch costs, metrics and a deadline as Lambda sets it among that. Not counted are the SDK, the
// network, and the writing of log and metrics. A client that does not block leaves all messages to one
// goroutine; in production each has its own.
func BenchmarkHandler(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprintf("batch of %d", size), func(b *testing.B) {
			handler, batch := ownWork(b, size)
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			b.ReportAllocs()
			for i := 0; i < b.N; i += size {
				if response, err := handler(ctx, batch); err != nil || len(response.BatchItemFailures) > 0 {
					b.Fatal(response, err)
				}
			}
		})
	}
}

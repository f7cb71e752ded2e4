package inbox_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

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

// One iteration is one message: decoded, handled by a function that does nothing, committed, logged and
// counted.
func BenchmarkHandler(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprintf("batch of %d", size), func(b *testing.B) {
			f := newFixture()
			f.config.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
			f.config.Metrics = io.Discard
			handler := inbox.Handler(f.store(b, instant{}), func(context.Context, *outbox.Tx, record.Event) error { return nil })
			batch := events.SQSEvent{Records: manyOrders(size)}
			b.ReportAllocs()
			for i := 0; i < b.N; i += size {
				if response, err := handler(b.Context(), batch); err != nil || len(response.BatchItemFailures) > 0 {
					b.Fatal(response, err)
				}
			}
		})
	}
}

package operate

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// noQueue takes what the inbox sends and does nothing.
type noQueue struct{ *sqs.Client }

func (noQueue) SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return &sqs.SendMessageOutput{}, nil
}

func (noQueue) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

// GetQueueAttributes is for the inbox's question when the consumer joined: long before its events were written.
func (noQueue) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": "0"}}, nil
}

// consume hands versions of one order to a consumer and returns those that took effect.
func consume(t *testing.T, table, consumer string, versions []int, options ...inbox.Option) (handled []int64) {
	t.Helper()
	store, err := inbox.New(db, noQueue{}, inbox.Config{
		Table: table, Consumer: consumer, TTL: time.Hour, QueueURL: "queue", DeadLetterQueueURL: "dlq",
		Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := inbox.Handler(store, func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		handled = append(handled, event.Version)
		return nil
	}, append(options, inbox.ReadFirst())...)
	for _, v := range versions {
		_, err := handler(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{
			MessageId: fmt.Sprint("m-", v),
			Body: fmt.Sprintf(`{"source":"orders","detail-type":"OrderUpdated","detail":{"id":"e-%d","type":"OrderUpdated","aggregateType":"Order",
				"aggregateId":"o-1","version":%d,"occurredAt":1,"data":{}}}`, v, v),
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return handled
}

// TestTheRenamedConsumerRemembers: what runtime/inbox wrote under the old name holds for the new one.
func TestTheRenamedConsumerRemembers(t *testing.T) {
	for name, options := range map[string][]inbox.Option{"markers": nil, "positions": {inbox.InOrder()}} {
		t.Run(name, func(t *testing.T) {
			table := newInbox(t)
			if got := consume(t, table, oldName, []int{1, 2, 3}, options...); !slices.Equal(got, []int64{1, 2, 3}) {
				t.Fatalf("the consumer handled %v, want each version", got)
			}
			if _, err := copyInbox(t, InboxCopy{Table: table, Yes: true}, ""); err != nil {
				t.Fatal(err)
			}
			if got := consume(t, table, newName, []int{2, 3, 4}, options...); !slices.Equal(got, []int64{4}) {
				t.Errorf("under its new name it handled %v, want only what is new", got)
			}
		})
	}
}

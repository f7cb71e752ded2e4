package audit_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/audit/audittest"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

const (
	host    = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
	ownDLQ  = host + "shipping-dlq"
	ruleDLQ = host + "rules-dlq"
	pipeDLQ = host + "pipe-dlq"
)

func body(id string) string {
	return fmt.Sprintf(`{"source": "orders", "detail-type": "OrderCreated", "detail": {"id": %s}}`, id)
}

func TestPeekReadsEachKindOfDeadLetterAndLeavesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := audittest.NewQueues(&audittest.Calls{}, time.Now(), ownDLQ, ruleDLQ, pipeDLQ)
		const arn = "arn:aws:sqs:eu-central-1:123456789012:shipping"
		for i := range 25 {
			q.Put(ownDLQ, body(fmt.Sprintf("%q", fmt.Sprint("e", i))), map[string]string{"inbox.reason": "no such customer", "inbox.queue": arn}, nil)
		}
		q.Put(ownDLQ, body(`{"S": "moved"}`), nil, map[string]string{"DeadLetterQueueSourceArn": arn})
		q.Put(ownDLQ, "nonsense", nil, nil)
		q.Put(ruleDLQ, body(`"refused"`), map[string]string{"TARGET_ARN": arn, "ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "denied"}, nil)
		q.Put(pipeDLQ, `{"context": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": {"shardId": "shard-1",
			"startSequenceNumber": "900", "endSequenceNumber": "1100", "approximateArrivalOfFirstRecord": "2026-01-01T10:00:00Z",
			"approximateArrivalOfLastRecord": "2026-01-01T10:01:00Z", "batchSize": 2}}`, nil, nil)
		found, err := audit.Peek(t.Context(), q, ownDLQ, ruleDLQ, pipeDLQ, "", ownDLQ)
		if err != nil || !found.Complete || len(found.Messages) != 29 {
			t.Fatalf("found are %d messages, complete %t (%v); want 29 and all", len(found.Messages), found.Complete, err)
		}
		c := &audit.Consumer{Consumer: description.Consumer{Name: "shipping", Queue: host + "shipping", DeadLetterQueue: ownDLQ, RuleDeadLetterQueue: ruleDLQ}}
		other := &audit.Consumer{Consumer: description.Consumer{Name: "billing", Queue: host + "billing", DeadLetterQueue: host + "billing-dlq", RuleDeadLetterQueue: ruleDLQ}}
		at := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
		for _, tc := range []struct {
			event    audit.Event
			consumer *audit.Consumer
			reason   string // none: not found
			found    bool
		}{
			{audit.Event{ID: "e0", Source: "orders"}, c, "no such customer", true},
			{audit.Event{ID: "e24", Source: "orders"}, c, "no such customer", true},
			{audit.Event{ID: "e24", Source: "billing"}, c, "", false},
			{audit.Event{ID: "e24", Source: "orders"}, other, "", false},
			{audit.Event{ID: "moved", Source: "orders"}, c, "", true},
			{audit.Event{ID: "refused", Source: "orders"}, c, "NO_PERMISSIONS: denied", true},
			{audit.Event{ID: "refused", Source: "orders"}, other, "", false},
			{audit.Event{ID: "p", Source: "orders", SequenceNumber: "1000"}, other, "RetryAttemptsExhausted", true},
			{audit.Event{ID: "p", Source: "orders", SequenceNumber: "0900"}, c, "RetryAttemptsExhausted", true},
			{audit.Event{ID: "p", Source: "orders", SequenceNumber: "899"}, c, "", false},
			{audit.Event{ID: "p", Source: "orders", SequenceNumber: "1101"}, c, "", false},
			{audit.Event{ID: "p", Source: "orders", WrittenAt: at.Add(-4 * time.Minute)}, c, "RetryAttemptsExhausted", true},
			{audit.Event{ID: "p", Source: "orders", WrittenAt: at.Add(7 * time.Minute)}, c, "", false},
		} {
			letter, ok := found.Find(audit.Effect{Event: tc.event, Consumer: tc.consumer})
			if ok != tc.found || letter.Reason != tc.reason {
				t.Errorf("event %q %q of %s at consumer %s: found %t with reason %q, want %t with %q",
					tc.event.ID, tc.event.SequenceNumber, tc.event.Source, tc.consumer.Name, ok, letter.Reason, tc.found, tc.reason)
			}
		}
		again, err := audit.Peek(t.Context(), q, ownDLQ)
		if err != nil || !again.Complete || len(again.Messages) != 27 {
			t.Errorf("a second look finds %d messages, complete %t (%v): they must be visible at once", len(again.Messages), again.Complete, err)
		}
	})
}

func TestPeekSaysWhereAnotherReceiverHasMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := audittest.NewQueues(&audittest.Calls{}, time.Now(), ownDLQ)
		q.Put(ownDLQ, body(`"e1"`), nil, nil)
		q.Put(ownDLQ, body(`"e2"`), nil, nil)
		q.HideFirst(ownDLQ, time.Minute)
		found, err := audit.Peek(t.Context(), q, ownDLQ)
		if err != nil || found.Complete || len(found.Messages) != 1 {
			t.Errorf("found are %d messages, complete %t (%v); want 1 of 2", len(found.Messages), found.Complete, err)
		}
	})
}

// noWaits fails a receive that waits.
type noWaits struct {
	audit.QueueReader
	t *testing.T
}

func (q noWaits) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if in.WaitTimeSeconds > 0 {
		q.t.Errorf("a receive waits for %d s", in.WaitTimeSeconds)
	}
	return q.QueueReader.ReceiveMessage(ctx, in, o...)
}

// TestAGlanceDoesNotWait: it ends with as many messages as SQS counts, and soon where another receiver has some.
func TestAGlanceDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := &audittest.Calls{}
		q := audittest.NewQueues(calls, time.Now(), ownDLQ)
		for i := range 12 {
			q.Put(ownDLQ, body(fmt.Sprintf("%q", fmt.Sprint("e", i))), nil, nil)
		}
		for _, hidden := range []int{0, 1} {
			for range hidden {
				q.HideFirst(ownDLQ, time.Minute)
			}
			before := calls.Count("ReceiveMessage")
			found, err := audit.Glance(t.Context(), noWaits{q, t}, ownDLQ)
			if err != nil || found.Complete != (hidden == 0) || len(found.Messages) != 12-hidden {
				t.Errorf("with %d hidden it found %d of 12 messages, complete %t (%v)", hidden, len(found.Messages), found.Complete, err)
			}
			if n := calls.Count("ReceiveMessage") - before; n > 2+8*hidden {
				t.Errorf("with %d hidden it took %d receives", hidden, n)
			}
		}
	})
}

package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func manyOrders(n int) []events.SQSMessage {
	messages := make([]events.SQSMessage, n)
	for i := range messages {
		messages[i] = message(fmt.Sprintf("e%02d", i), fmt.Sprintf("o%02d", i), 1)
	}
	return messages
}

func TestMessagesRunConcurrentlyUpToALimit(t *testing.T) {
	for limit, want := range map[int]int32{0: 10, 1: 1, 3: 3, 50: 25} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.config.Concurrency = limit
				var running, most atomic.Int32
				handler := inbox.Handler(f.store(t, f.DB), func(context.Context, *outbox.Tx, record.Event) error {
					n := running.Add(1)
					defer running.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Second)
					return nil
				})
				expect(t, "failures", deliver(t.Context(), t, handler, manyOrders(25)...), []string{})
				expect(t, "most at a time", most.Load(), want)
			})
		})
	}
}

// A function's time ends for the messages that run and those that wait, not for those that are done.
func TestRemainingTimeIsRespected(t *testing.T) {
	for name, obedient := range map[string]bool{"obedient function": true, "function that ignores its context": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.config.Concurrency = 2
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				handler := inbox.Handler(f.store(t, f.DB), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
					if event.ID == "e01" {
						if obedient {
							<-ctx.Done()
							return ctx.Err()
						}
						time.Sleep(time.Minute)
						return ctx.Err()
					}
					time.Sleep(time.Second)
					return ship(ctx, tx, event)
				})
				// e00 and e02 are done by 2 s, e01 blocks one worker, e03 is cut off in its second, e04 is not started.
				failures := sorted(deliver(ctx, t, handler, manyOrders(5)...))
				expect(t, "failures", failures, []string{"m-e01", "m-e03", "m-e04"})
				expect(t, "shipments", len(f.Items(shipments)), 2)
				if took := time.Since(start); took >= 3*time.Second {
					t.Errorf("answered after %s, the function's time is 3s", took)
				}
				time.Sleep(2 * time.Minute) // for the function that went on
			})
		})
	}
}

func TestEndedContextStartsNothing(t *testing.T) {
	f := newFixture()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	handler := inbox.Handler(f.store(t, f.DB), func(context.Context, *outbox.Tx, record.Event) error {
		t.Error("started")
		return nil
	})
	expect(t, "failures", len(deliver(ctx, t, handler, manyOrders(3)...)), 3)
}

func TestFIFOGroupsKeepTheirOrder(t *testing.T) {
	f := newFixture()
	var mu sync.Mutex
	var order []string
	handler := inbox.Handler(f.store(t, f.DB), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, event.ID)
		if event.ID == "e02" {
			return errTest
		}
		return nil
	})
	messages := manyOrders(8)
	for i := range messages {
		messages[i].EventSourceARN += ".fifo"
		messages[i].Attributes["MessageGroupId"] = []string{"even", "odd"}[i%2]
	}
	failures := sorted(deliver(t.Context(), t, handler, messages...))
	expect(t, "failures", failures, []string{"m-e02", "m-e04", "m-e06"})
	for group, want := range map[int][]string{0: {"e00", "e02"}, 1: {"e01", "e03", "e05", "e07"}} {
		var got []string
		for _, id := range order {
			if int(id[2]-'0')%2 == group {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("group %d ran as %v, want %v", group, got, want)
		}
	}
}

// Fair queues, which are standard queues, have message groups too; these promise no order.
func TestGroupsOfAStandardQueueRunConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		start := time.Now()
		handler := inbox.Handler(f.store(t, f.DB), func(context.Context, *outbox.Tx, record.Event) error {
			time.Sleep(time.Second)
			return nil
		})
		messages := manyOrders(5)
		for i := range messages {
			messages[i].Attributes["MessageGroupId"] = "tenant"
		}
		deliver(t.Context(), t, handler, messages...)
		expect(t, "time", time.Since(start), time.Second)
	})
}

func TestEmptyBatch(t *testing.T) {
	f := newFixture()
	response, err := inbox.Handler(f.store(t, f.DB), ship)(t.Context(), events.SQSEvent{})
	if err != nil || response.BatchItemFailures == nil || len(response.BatchItemFailures) != 0 {
		t.Errorf("got %+v, %v; want an empty list, which is not null", response, err)
	}
}

func TestDuplicatesInOneBatch(t *testing.T) {
	f := newFixture()
	a, b := message("e1", "o1", 1), message("e1", "o1", 1)
	b.MessageId = "m-other"
	expect(t, "failures", deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship), a, b), []string{})
	expect(t, "shipments", len(f.Items(shipments)), 1)
}

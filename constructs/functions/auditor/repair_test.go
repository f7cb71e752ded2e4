package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// sentTo returns the ids of the events in a consumer's queue.
func (f *fixture) sentTo(consumer string) []string {
	var ids []string
	for _, body := range f.queues.Bodies(queueOf(consumer)) {
		event, err := record.Decode([]byte(body))
		if err != nil {
			f.t.Fatalf("%s was sent: %v", body, err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

func TestRepairSendsToTheConsumerThatMissesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.deliver(history, event)
		f.minutes(a, 20)
		if got := f.sentTo(shipping); !slices.Equal(got, []string{"o1-1"}) {
			t.Errorf("sent to the consumer that misses the event are %q, want it", got)
		}
		if got := f.sentTo(history); len(got) > 0 {
			t.Errorf("the consumer that has handled it was sent %q", got)
		}
		for _, body := range f.queues.Bodies(queueOf(shipping)) {
			var e struct {
				Version, ID, Account, Region string
				Resources                    []string
				Time                         time.Time
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Version != "0" || e.ID == "" || e.Account != "123456789012" ||
				e.Region != "eu-central-1" || e.Resources == nil || e.Time.IsZero() {
				t.Errorf("the message is not as EventBridge delivers it: %s (%v)", body, err)
			}
			f.handle(shipping, body)
		}
		f.minutes(a, 10)
		f.expectListed()
	})
}

func TestRepairIsOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.change(func(d *description.Outbox) { d.Audit.RepairPerMinute = "" })
		a := f.auditor()
		f.commitMissing(a, 1)
		f.minutes(a, 60)
		if got := append(f.sentTo(shipping), f.sentTo(history)...); len(got) > 0 {
			t.Errorf("sent were %q", got)
		}
	})
}

// While a dead-letter message stands for the event, a person decides; while messages wait, the consumer is only late.
func TestRepairSendsNothingThatMayStillCome(t *testing.T) {
	const ownARN, otherARN = "arn:aws:sqs:eu-central-1:123456789012:Shipping", "arn:aws:sqs:eu-central-1:123456789012:History"
	type place func(f *fixture, e record.Event, sequence string)
	for name, tc := range map[string]struct {
		put  place
		sent int
	}{
		"nowhere": {func(*fixture, record.Event, string) {}, 1},
		"in its queue": {func(f *fixture, _ record.Event, _ string) {
			f.queues.Put(queueOf(shipping), bodyOf(f.t, record.Event{
				ID: "x", Type: "OrderUpdated", Source: "orders", AggregateType: "Order", AggregateID: "x", Version: 1, Data: json.RawMessage(`{}`),
			}), nil, nil)
		}, 0},
		"in its dead-letter queue": {func(f *fixture, e record.Event, _ string) {
			f.queues.Put(dlqOf(shipping), bodyOf(f.t, e), nil, map[string]string{"DeadLetterQueueSourceArn": ownARN})
		}, 0},
		"in another consumer's dead-letter queue": {func(f *fixture, e record.Event, _ string) {
			f.queues.Put(dlqOf(history), bodyOf(f.t, e), nil, map[string]string{"DeadLetterQueueSourceArn": otherARN})
		}, 1},
		"in the rules' dead-letter queue, for it": {func(f *fixture, e record.Event, _ string) {
			f.queues.Put(rulesDLQ, bodyOf(f.t, e), map[string]string{"TARGET_ARN": ownARN, "ERROR_CODE": "NO_PERMISSIONS"}, nil)
		}, 0},
		"in the rules' dead-letter queue, for another": {func(f *fixture, e record.Event, _ string) {
			f.queues.Put(rulesDLQ, bodyOf(f.t, e), map[string]string{"TARGET_ARN": otherARN}, nil)
		}, 1},
		"in the pipe's dead-letter queue": {func(f *fixture, _ record.Event, sequence string) {
			f.queues.Put(pipeDLQ, fmt.Sprintf(`{"context": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo":
				{"shardId": "s", "startSequenceNumber": "1", "endSequenceNumber": "%s", "batchSize": 1}}`, sequence), nil, nil)
		}, 0},
		"after what is in the pipe's dead-letter queue": {func(f *fixture, _ record.Event, _ string) {
			f.queues.Put(pipeDLQ, `{"DDBStreamBatchInfo": {"shardId": "s", "startSequenceNumber": "0", "endSequenceNumber": "0", "batchSize": 1}}`, nil, nil)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.onlyShipping()
				a := f.auditor()
				event, rec := f.commit("o1")
				tc.put(f, event, fmt.Sprintf("%021d", f.sequence))
				waiting := len(f.queues.Bodies(queueOf(shipping)))
				f.mustStream(a, rec)
				f.minutes(a, 30)
				if got := len(f.sentTo(shipping)) - waiting; got != tc.sent {
					t.Errorf("%d events were sent again, want %d", got, tc.sent)
				}
				for _, url := range []string{dlqOf(shipping), dlqOf(history), rulesDLQ, pipeDLQ} {
					if n := len(f.queues.Bodies(url)); n > 1 {
						t.Errorf("%s has %d messages", url, n)
					}
				}
			})
		})
	}
}

func TestRepairHasALimitAndPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		f.change(func(d *description.Outbox) { d.Audit.RepairPerMinute = "10" })
		a := f.auditor()
		f.commitMissing(a, 25)
		var perMinute []int
		for range 30 {
			f.minutes(a, 1)
			perMinute = append(perMinute, len(f.sentTo(shipping)))
			f.queues.Create(queueOf(shipping)) // purged once more
		}
		sent := 0
		for _, n := range perMinute {
			sent += n
			if n > 10 {
				t.Errorf("%d events were sent in a minute, want 10 at most", n)
			}
		}
		// Each once, and again after a quarter of an hour.
		if first := perMinute[0] + perMinute[1] + perMinute[2] + perMinute[3]; first != 25 || sent != 50 {
			t.Errorf("sent were %d, want 25 at first and 50 in all", perMinute)
		}
	})
}

func TestAnEventThatHasLeftTheTableIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		a := f.auditor()
		_, rec := f.commit("o1")
		f.mustStream(a, rec)
		time.Sleep(14 * time.Minute)
		f.minutes(a, 1)
		for _, item := range f.tables.Items(outboxTable, "") {
			f.tables.Delete(outboxTable, item)
		}
		f.minutes(a, 5)
		if logs := f.logs.String(); !strings.Contains(logs, "an event without effect cannot be repaired") {
			t.Errorf("the log does not say so: %s", logs)
		}
		if n := len(f.listed()); n != 1 {
			t.Errorf("%d are listed, want 1", n)
		}
	})
}

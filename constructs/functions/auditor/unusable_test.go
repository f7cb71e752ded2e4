package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A consumer whose description cannot be used is not audited, which every run says. The others are.
func TestAnUnusableDescriptionHoldsUpNoOtherConsumer(t *testing.T) {
	for name, tc := range map[string]struct {
		value any
		says  string
	}{
		"the same name": {
			description.Consumer{Version: "1", ID: "Zebra", Name: shipping, Inbox: "TABLE", InboxTable: inboxTable, Pattern: json.RawMessage(`{"source": ["orders"]}`)},
			"consumers Shipping and Zebra must have different names",
		},
		"a broken pattern": {
			description.Consumer{Version: "1", ID: "Zebra", Name: "zebra", Inbox: "TABLE", InboxTable: inboxTable, Pattern: json.RawMessage(`{"source": "orders"}`)},
			"consumer Zebra: ",
		},
		"no inbox table":     {description.Consumer{Version: "1", ID: "Zebra", Name: "zebra", Inbox: "TABLE", Pattern: json.RawMessage(`{}`)}, "its inbox table must be named"},
		"an unknown version": {map[string]any{"version": "2"}, "the parameter consumer/Zebra of a consumer"},
		"nonsense":           {"nonsense", "the parameter consumer/Zebra of a consumer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.describe("consumer/Zebra", tc.value)
				a := f.auditor()
				event, rec := f.commit("o1")
				f.mustStream(a, rec)
				if logs := f.logs.String(); !strings.Contains(logs, tc.says) {
					t.Errorf("the log of the batch does not say %q: %s", tc.says, logs)
				}
				f.deliver(history, event)
				time.Sleep(15 * time.Minute)
				if err := f.minute(a); err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("the run's error is %v, want %q", err, tc.says)
				}
				f.expectListed(shipping + ": o1-1")
				f.expectMetric(history, audit.MetricConfirmed, 1)
				f.expectMetric(shipping, audit.MetricUnconfirmed, 1)
				f.expectMetric("", audit.MetricAuditRuns, -1)
			})
		})
	}
}

// Where AWS does not say since when a consumer has its queue, the batch comes again: nothing of it may be lost.
func TestAConsumerThatIsNotKnownYetIsNoUnusableOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		_, rec := f.commit("o1")
		f.calls.Before = func(name string) error {
			if name == "GetQueueAttributes" {
				return errAWS
			}
			return nil
		}
		if _, err := f.stream(a, rec); err == nil {
			t.Error("the batch was taken without its consumers")
		}
	})
}

func TestAnUnreadablePendingMessageIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		f.queues.Put(pendingURL, "nonsense", nil, nil)
		f.minutes(a, 5)
		if left := f.queues.Bodies(pendingURL); len(left) > 0 {
			t.Errorf("the pending queue still has %q", left)
		}
		if aside := f.queues.Bodies(auditDLQ); !slices.Equal(aside, []string{"nonsense"}) {
			t.Errorf("the auditor's dead-letter queue has %q, want the message", aside)
		}
		f.expectMetric("", audit.MetricAuditRuns, 1)
		if logs := f.logs.String(); !strings.Contains(logs, "a pending message cannot be read") {
			t.Error("the log does not say so")
		}
	})
}

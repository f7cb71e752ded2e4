package redrive_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

func TestConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		var want []string
		for n := range 25 { // more than one receive
			body := fmt.Sprint("event ", n)
			want = append(want, body)
			m := q.add("dlq", body, map[string]string{
				inbox.ReasonAttribute: "it failed", inbox.ConsumerAttribute: "c", inbox.QueueAttribute: arnOf("queue"), "tenant": "t-1",
			})
			m.Attributes["AWSTraceHeader"] = traceHeader
		}
		if report := redriveConsumer(t, q); report.Redriven != 25 || !report.Done() {
			t.Errorf("report is %+v, want 25 redriven", report)
		}
		if got := q.bodies("queue"); !slices.Equal(got, want) {
			t.Errorf("the queue has %v, want %v", got, want)
		}
		if left := q.bodies("dlq"); len(left) != 0 {
			t.Errorf("the dead-letter queue still has %v", left)
		}
		for _, m := range q.messages["queue"] {
			if len(m.MessageAttributes) != 1 || *m.MessageAttributes["tenant"].StringValue != "t-1" {
				t.Fatalf("attributes are %v, want those of the message without those of the failure", m.MessageAttributes)
			}
			if got := m.Attributes["AWSTraceHeader"]; got != traceHeader {
				t.Fatalf("the trace header is %q, want %q", got, traceHeader)
			}
		}
	})
}

const traceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=3995c3f42cd8ad8;Sampled=1"

func TestConsumerRefuses(t *testing.T) {
	r := redrive.New(redrive.Clients{SQS: newQueues()})
	for name, tc := range map[string]struct {
		to   redrive.ConsumerTarget
		says string
	}{
		"a FIFO queue":      {redrive.ConsumerTarget{Queue: "queue.fifo"}, "standard queue, got queue.fifo"}, // the order of its groups would be lost
		"a negative memory": {redrive.ConsumerTarget{Queue: "queue", Memory: -time.Hour}, "must not be negative, got -1h"},
	} {
		if _, err := r.Consumer(t.Context(), "dlq", tc.to); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, tc.says)
		}
	}
}

// TestConsumerKeepsTheMessagesOfAnotherQueue: two consumers may share a dead-letter queue, and a URL is easily mistaken.
func TestConsumerKeepsTheMessagesOfAnotherQueue(t *testing.T) {
	for name, tc := range map[string]struct {
		attributes map[string]string
		movedFrom  string // the queue that SQS moved it from
		kept       []string
	}{
		"nothing says where it came from": {},
		"SQS moved it from the queue":     {movedFrom: arnOf("queue")},
		"SQS moved it from another one":   {movedFrom: arnOf("billing"), kept: []string{arnOf("billing"), arnOf("queue")}},
		"the inbox got it from the queue": {attributes: map[string]string{inbox.QueueAttribute: arnOf("queue")}},
		"the inbox got it from another one": {
			attributes: map[string]string{inbox.ConsumerAttribute: "Billing", inbox.QueueAttribute: arnOf("billing")},
			kept:       []string{arnOf("billing"), `consumer "Billing"`, arnOf("queue")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueues()
				m := q.add("dlq", "event", tc.attributes)
				if tc.movedFrom != "" {
					m.Attributes["DeadLetterQueueSourceArn"] = tc.movedFrom
				}
				report := redriveConsumer(t, q)
				if tc.kept == nil {
					if report.Redriven != 1 || !report.Done() {
						t.Errorf("report is %+v, want it redriven", report)
					}
					return
				}
				if len(report.Kept) != 1 || len(q.bodies("queue")) != 0 || len(q.bodies("dlq")) != 1 {
					t.Fatalf("report is %+v, want it kept", report)
				}
				for _, want := range tc.kept {
					if says := report.Kept[0].Err.Error(); !strings.Contains(says, want) {
						t.Errorf("it was kept because %q, want it to name %q", says, want)
					}
				}
			})
		})
	}
}

// TestConsumerKeepsWhatItsInboxMayHaveForgotten: a redrive must not bring an event after its marker has expired.
func TestConsumerKeepsWhatItsInboxMayHaveForgotten(t *testing.T) {
	const day = 24 * time.Hour
	const memory = 23 * day
	eventOf := func(age, onBus time.Duration) string {
		return fmt.Sprintf(`{"version":"0","detail-type":"OrderCreated","source":"orders","time":%q,"detail":{"id":"e-1","type":"OrderCreated",
			"aggregateType":"Order","aggregateId":"o-1","version":"1","occurredAt":"%d","data":"{}"}}`,
			time.Now().Add(-onBus).Format(time.RFC3339), time.Now().Add(-age).UnixMilli())
	}
	for name, tc := range map[string]struct {
		age    time.Duration
		onBus  time.Duration // the age of its publication, which may be the second one
		memory time.Duration
		body   string
		kept   []string // what the reason says
	}{
		"the first redrive, at the last moment":          {age: 18 * day, memory: memory},
		"it could wait in the queue for too long":        {age: 20 * day, memory: memory, kept: []string{"e-1", "2000-01-05T", "it took effect before"}},
		"it is forgotten already":                        {age: 30 * day, memory: memory, kept: []string{"e-1"}},
		"the consumer remembers for good, or not at all": {age: 300 * day},
		"its writer's time is in the future":             {age: -20 * day, onBus: 20 * day, memory: memory, kept: []string{"e-1"}},
		"its age cannot be told":                         {body: `{"orderId":"o-1"}`, memory: memory, kept: []string{"how old", "detail"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in a bubble it is 2000-01-01
				q := newQueues()
				body := tc.body
				if body == "" {
					body = eventOf(tc.age, tc.onBus)
				}
				q.add("dlq", body, nil)
				report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", redrive.ConsumerTarget{Queue: "queue", Memory: tc.memory})
				if err != nil {
					t.Fatal(err)
				}
				if tc.kept == nil {
					if report.Redriven != 1 || !report.Done() {
						t.Errorf("report is %+v, want it redriven", report)
					}
					return
				}
				if len(report.Kept) != 1 || len(q.bodies("queue")) != 0 || len(q.bodies("dlq")) != 1 {
					t.Fatalf("report is %+v, want it kept", report)
				}
				for _, want := range tc.kept {
					if says := report.Kept[0].Err.Error(); !strings.Contains(says, want) {
						t.Errorf("it was kept because %q, want it to name %q", says, want)
					}
				}
			})
		})
	}
}

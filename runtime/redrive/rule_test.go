package redrive_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// encryptedEvent is what EventBridge leaves of an event when it cannot use the bus's key.
// Source: EventBridge user guide, eb-encryption-event-bus-dlq-decrypt.
const encryptedEvent = `{"version":"0","id":"053afa53","account":"123456789012","time":"2026-02-10T10:22:00Z","resources":[],"region":"us-east-1",
	"source":"aws.events","detail-type":"Encrypted Events","detail":{"event-bus-arn":"arn:aws:events:us-east-1:123456789012:event-bus/b",
	"rule-arn":"arn:aws:events:us-east-1:123456789012:event-bus/b/r","kms-key-arn":"arn:aws:kms:us-east-1:123456789012:key/k","encrypted-payload":"AgR4qiru"}}`

func TestRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		target := func(arn string) map[string]string {
			return map[string]string{"TARGET_ARN": arn, "RULE_ARN": "arn:aws:events:eu-central-1:1:rule/b/r", "ERROR_CODE": "NO_PERMISSIONS"}
		}
		one := target("arn:aws:sqs:eu-central-1:1:one")
		q.add("dlq", "for one", one).Attributes["AWSTraceHeader"] = traceHeader
		q.add("dlq", "for two", target("arn:aws:sqs:eu-central-1:1:two"))
		kept := []string{"event-bus/other", "gone", "one.fifo", "TARGET_ARN", "arn:aws:kms:us-east-1:123456789012:key/k"}
		q.add("dlq", "for a bus", target("arn:aws:events:eu-central-1:1:event-bus/other"))
		q.add("dlq", "for a queue that is gone", target("arn:aws:sqs:eu-central-1:1:gone"))
		q.add("dlq", "for a FIFO queue", target("arn:aws:sqs:eu-central-1:1:one.fifo"))
		q.add("dlq", "for nobody", nil)
		q.add("dlq", encryptedEvent, one)
		report, err := redrive.New(redrive.Clients{SQS: q}).Rule(t.Context(), "dlq")
		if err != nil || report.Redriven != 2 || len(report.Kept) != len(kept) {
			t.Fatalf("report is %+v (%v), want 2 redriven and %d kept", report, err, len(kept))
		}
		if one, two := q.bodies("one"), q.bodies("two"); !slices.Equal(one, []string{"for one"}) || !slices.Equal(two, []string{"for two"}) {
			t.Errorf("queue one has %v, queue two %v", one, two)
		}
		m := q.messages["one"][0]
		if n := len(m.MessageAttributes); n != 0 {
			t.Errorf("the message has %d attributes, want it as the rule would have sent it", n)
		}
		if got := m.Attributes["AWSTraceHeader"]; got != traceHeader {
			t.Errorf("the trace header is %q, want %q", got, traceHeader)
		}
		for i, says := range kept {
			if !strings.Contains(report.Kept[i].Err.Error(), says) {
				t.Errorf("kept: %v, want it to name %s", report.Kept[i].Err, says)
			}
		}
	})
}

// TestRuleInOrder: what one queue does not accept holds up the later events of the aggregate for it, and not for another.
func TestRuleInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.refuse["one"] = errors.New("over quota")
		for _, version := range []int{3, 1, 2} {
			for _, queue := range []string{"one", "two"} {
				q.add("dlq", versionOf("o-1", version), map[string]string{"TARGET_ARN": "arn:aws:sqs:eu-central-1:1:" + queue})
			}
		}
		report, err := redrive.New(redrive.Clients{SQS: q}).Selecting(redrive.Selection{InOrder: true}).Rule(t.Context(), "dlq")
		if err != nil || report.Redriven != 3 || len(report.Kept) != 3 {
			t.Fatalf("report is %+v (%v), want 3 redriven and 3 kept", report, err)
		}
		if got, want := q.bodies("two"), []string{versionOf("o-1", 1), versionOf("o-1", 2), versionOf("o-1", 3)}; !slices.Equal(got, want) {
			t.Errorf("queue two has %v, want versions 1 to 3", got)
		}
	})
}

// TestConsumerKeepsCiphertext: an earlier redrive may have sent it on.
func TestConsumerKeepsCiphertext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", encryptedEvent, nil)
		report := redriveConsumer(t, q)
		if len(report.Kept) != 1 || !strings.Contains(report.Kept[0].Err.Error(), "encrypted") || len(q.bodies("queue")) != 0 {
			t.Errorf("report is %+v, want the ciphertext kept", report)
		}
	})
}

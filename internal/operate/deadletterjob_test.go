package operate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// TestUndeliveredEventsOfAnOrderedConsumer go to it in the order of their versions.
func TestUndeliveredEventsOfAnOrderedConsumer(t *testing.T) {
	for consumer, inOrder := range map[string]bool{"": true, "History": true, "Ship": false} {
		synctest.Test(t, func(t *testing.T) {
			q := newFakeQueues()
			for _, version := range []int{3, 1, 2} {
				q.add(queueURLs+"rules-dlq", body("o-1", version), notDelivered("history"))
				q.add(queueURLs+"rules-dlq", body("o-1", version), notDelivered("ship"))
			}
			d, notes := dialog("y\n")
			if _, err := (DeadLetterRedrive{Filter: DeadLetterFilter{Consumer: consumer}}).Run(t.Context(), Clients{SQS: q}, watched(), d); err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(notes.String(), "rules: about") && strings.Contains(notes.String(), "in the order of their versions"); said != inOrder {
				t.Errorf("--consumer %q: it said %s", consumer, notes)
			}
			if got := q.events("history"); consumer != "Ship" && !slices.Equal(got, []string{"o-1-1", "o-1-2", "o-1-3"}) {
				t.Errorf("--consumer %q: history got %v", consumer, got)
			}
		})
	}
}

// TestTheAuditorsDeadLetters are among those of the stack. There is nothing to send again of them, and they can be discarded.
func TestTheAuditorsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q := watched(), newFakeQueues()
		s.Outboxes[0].Audit = &description.Audit{DeadLetterQueue: queueURLs + "auditor-dlq"}
		q.add(queueURLs+"auditor-dlq", `{"requestContext":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"shard-1","startSequenceNumber":"10","endSequenceNumber":"12","batchSize":3}}`, nil)
		q.add(queueURLs+"history-dlq", body("o-4", 1), nil)
		list := func(f DeadLetterFilter) []string {
			l, err := ListDeadLetters(t.Context(), Clients{SQS: q}, s, f, 100)
			if err != nil {
				t.Fatal(err)
			}
			return whoseAll(l)
		}
		theirs := []string{"auditor : RetryAttemptsExhausted: 3 records of shard-1, 10 to 12"}
		if got := list(DeadLetterFilter{Kind: OfAuditor}); !slices.Equal(got, theirs) {
			t.Errorf("it shows %v, want %v", got, theirs)
		}
		if got := list(DeadLetterFilter{Consumer: "History"}); len(got) != 1 || got[0] == theirs[0] {
			t.Errorf("of a consumer it shows %v", got)
		}
		d, notes := dialog("y\n")
		if results, err := (DeadLetterRedrive{}).Run(t.Context(), Clients{SQS: q}, s, d); err != nil || len(results) != 2 || len(q.events("history")) != 1 {
			t.Errorf("a redrive came to %+v (%v), want History's redriven", results, err)
		}
		if want := "auditor: 1 message, and nothing to send again"; !strings.Contains(notes.String(), want) || !strings.Contains(notes.String(), "outbox audit --full") {
			t.Errorf("it said %s, want %s", notes, want)
		}
		if got := list(DeadLetterFilter{}); !slices.Equal(got, theirs) {
			t.Errorf("after the redrive there are %v, want %v", got, theirs)
		}
		d, _ = dialog("y\n")
		if _, err := (DeadLetterDiscard{Filter: DeadLetterFilter{Kind: OfAuditor}}).Run(t.Context(), Clients{SQS: q}, s, d); err != nil || len(list(DeadLetterFilter{})) != 0 {
			t.Errorf("after the discard there are %v (%v)", list(DeadLetterFilter{}), err)
		}
	})
}

// TestAMessageOfNobodyInASharedQueue is counted and named, and can be discarded.
func TestAMessageOfNobodyInASharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueues()
		q.add(queueURLs+"shared-dlq", body("o-1", 1), nil)
		q.add(queueURLs+"shared-dlq", body("o-2", 1), failedOf("Orders/Outbox/Ship", "ship", "no such address"))
		d, notes := dialog("y\n")
		results, err := DeadLetterRedrive{}.Run(t.Context(), Clients{SQS: q}, watched(), d)
		if want := "Bill, Ship, whose cannot be told: message m-1 was kept"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if got := q.events("ship"); !slices.Equal(got, []string{"o-2-1"}) || len(results) != 2 || len(results[1].Kept) != 1 {
			t.Errorf("Ship got %v, results are %+v; it said %s", got, results, notes)
		}
		d, _ = dialog("y\n")
		if _, err := (DeadLetterRedrive{Filter: DeadLetterFilter{Consumer: "Ship"}}).Run(t.Context(), Clients{SQS: q}, watched(), d); err != nil {
			t.Errorf("--consumer Ship does not mean it: %v", err)
		}
		d, _ = dialog("y\n")
		if _, err := (DeadLetterDiscard{}).Run(t.Context(), Clients{SQS: q}, watched(), d); err != nil || len(q.events("shared-dlq")) != 0 {
			t.Errorf("after the discard the queue has %v (%v)", q.events("shared-dlq"), err)
		}
	})
}

// TestWhatNobodySawIsNotNothing: somebody else has the messages of a consumer, which a filter may mean.
func TestWhatNobodySawIsNotNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		filter DeadLetterFilter
		want   string // of the error
	}{
		"the consumer's":              {DeadLetterFilter{Consumer: "History"}, "History: 2 messages were not seen"},
		"another consumer's":          {DeadLetterFilter{Consumer: "Bill"}, ""},
		"an event in another queue":   {DeadLetterFilter{ID: "o-2-1"}, "History: 2 messages were not seen"}, // History may have it too
		"a message in another queue":  {DeadLetterFilter{ID: "m-3"}, ""},
		"all, which is its own count": {DeadLetterFilter{}, "by SQS's count the queue holds 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for what, run := range map[string]func(*fakeQueues, *Dialog) error{
					"redrive": func(q *fakeQueues, d *Dialog) error {
						_, err := DeadLetterRedrive{Filter: tc.filter, Forgotten: true}.Run(t.Context(), Clients{SQS: q}, watched(), d)
						return err
					},
					"discard": func(q *fakeQueues, d *Dialog) error {
						_, err := DeadLetterDiscard{Filter: tc.filter}.Run(t.Context(), Clients{SQS: q}, watched(), d)
						return err
					},
				} {
					q := troubled()
					q.messages[queueURLs+"pipe-dlq"] = nil
					q.add(queueURLs+"history-dlq", body("o-5", 1), nil)
					for _, m := range q.messages[queueURLs+"history-dlq"] {
						m.visible = time.Now().Add(time.Hour)
					}
					d, notes := dialog("y\n")
					err := run(q, d)
					if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
						t.Errorf("%s: got %v, want %q", what, err, tc.want)
					}
					if err != nil && strings.Contains(notes.String(), "no dead-letter messages") {
						t.Errorf("%s: it said %s", what, notes)
					}
				}
			})
		})
	}
}

// TestALookEnds: also where SQS counts more than there is, and gives again what it gave.
func TestALookEnds(t *testing.T) {
	p := newPlant(stackOf("Ship"))
	url := plantQueues + "Ship-dead"
	for n := range 3 {
		id := fmt.Sprint("m-", n)
		p.messages[url] = append(p.messages[url], types.Message{MessageId: &id, ReceiptHandle: &id, Body: &id})
	}
	p.queues[url] = map[string]string{"ApproximateNumberOfMessages": "5"}
	p.slow = time.Millisecond
	impatient := time.AfterFunc(10*time.Second, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refused["ReceiveMessage"] = true
	})
	defer impatient.Stop()
	got := 0
	looked, err := look(t.Context(), p, &DeadLetterQueue{Kind: OfConsumer, URL: url}, 100, func(*DeadLetterMessage) {
		got++
	})
	if receives := p.requests["ReceiveMessage"]; err != nil || receives > 1+emptyLooks || got != 3 || looked.Looked != 3 || looked.Total != 5 {
		t.Errorf("%d receives brought %d, %+v (%v); want 3 of 5 in at most %d", receives, got, looked, err, 1+emptyLooks)
	}
}

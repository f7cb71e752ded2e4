package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// versionOf is the body of a message with one version of an aggregate.
func versionOf(aggregate string, version int) string {
	return fmt.Sprintf(`{"detail-type":"OrderUpdated","source":"orders","detail":{"id":"%[1]s-%[2]d","type":"OrderUpdated",`+
		`"aggregateType":"Order","aggregateId":"%[1]s","version":"%[2]d","occurredAt":"1760000000000","data":{"S":"{}"},`+
		`"traceparent":{"S":""},"correlationId":"c","causationId":{"S":""}}}`, aggregate, version)
}

// fill puts versions 1 to n of each aggregate into "dlq", in random order.
func fill(q *queues, n int, aggregates ...string) {
	var bodies []string
	for _, aggregate := range aggregates {
		for version := 1; version <= n; version++ {
			bodies = append(bodies, versionOf(aggregate, version))
		}
	}
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	for _, body := range bodies {
		q.add("dlq", body, nil)
	}
}

// versions are those of each aggregate in the order in which they are in the queue.
func versions(t *testing.T, q *queues) map[string][]int64 {
	t.Helper()
	all := map[string][]int64{}
	for _, body := range q.bodies("queue") {
		event, err := record.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		all[event.AggregateID] = append(all[event.AggregateID], event.Version)
	}
	return all
}

func selecting(ctx context.Context, q *queues, s redrive.Selection) (redrive.Report, error) {
	return redrive.New(redrive.Clients{SQS: q}).Selecting(s).Consumer(ctx, "dlq", redrive.ConsumerTarget{Queue: "queue"})
}

func has(part string) func(types.Message) bool {
	return func(m types.Message) bool { return strings.Contains(*m.Body, part) }
}

func TestOnlyWhatIsSelectedIsRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		fill(q, 20, "o-1", "o-2")
		report, err := selecting(t.Context(), q, redrive.Selection{Match: has(`"aggregateId":"o-2"`)})
		if err != nil || report.Redriven != 20 || report.Skipped != 20 || !report.Done() {
			t.Fatalf("report is %+v (%v), want 20 redriven, 20 skipped and nothing left", report, err)
		}
		if got := versions(t, q); len(got["o-2"]) != 20 || len(got["o-1"]) != 0 {
			t.Errorf("the queue has %v, want the 20 of o-2", got)
		}
		visible := 0
		for _, m := range q.messages["dlq"] {
			if !m.deleted && !m.visible.After(time.Now()) {
				visible++
			}
		}
		if visible != 20 {
			t.Errorf("%d messages of the dead-letter queue are visible, want the 20 of o-1 at once", visible)
		}
	})
}

func TestARedriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		fill(q, 40, "o-1", "o-2", "o-3")
		q.add("dlq", "no event", nil)
		report, err := selecting(t.Context(), q, redrive.Selection{InOrder: true, Match: has("{")})
		if err != nil || report.Redriven != 120 || report.Skipped != 1 || !report.Done() {
			t.Fatalf("report is %+v (%v), want 120 redriven", report, err)
		}
		for aggregate, got := range versions(t, q) {
			if len(got) != 40 || !slices.IsSorted(got) {
				t.Errorf("versions of %s were sent as %v", aggregate, got)
			}
		}
	})
}

// TestWhatFollowsAKeptVersionIsKept: the consumer would only wait for the one that is missing.
func TestWhatFollowsAKeptVersionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		fill(q, 5, "o-1", "o-2")
		refused := errors.New("throttled")
		sent := 0
		q.onSend = func() {
			delete(q.refuse, "queue")
			if sent++; sent == 5 { // version 3 of one of them
				q.refuse["queue"] = refused
			}
		}
		report, err := selecting(t.Context(), q, redrive.Selection{InOrder: true})
		if err != nil || report.Redriven != 7 || len(report.Kept) != 3 {
			t.Fatalf("report is %+v (%v), want 7 redriven and 3 kept", report, err)
		}
		if !errors.Is(report.Kept[0].Err, refused) || !strings.Contains(report.Kept[1].Err.Error(), "version 3 of orders#Order#o-") {
			t.Errorf("kept were %v, want the refused one, and those behind it", report.Kept)
		}
	})
}

// TestAnInterruptedRedriveGoesOn: nothing is lost or doubled, and nothing has to be waited for.
func TestAnInterruptedRedriveGoesOn(t *testing.T) {
	for name, inOrder := range map[string]bool{"as they come": false, "in order": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueues()
				fill(q, 50, "o-1")
				ctx, interrupt := context.WithCancel(t.Context())
				calls := 0
				q.onSend = func() {
					if calls++; calls == 17 {
						interrupt() // while the message is sent, before it is deleted
					}
				}
				first, err := selecting(ctx, q, redrive.Selection{InOrder: inOrder})
				if !errors.Is(err, context.Canceled) || first.Redriven != 17 || len(first.Kept) != 0 {
					t.Fatalf("the first report is %+v (%v), want 17 redriven and an interruption", first, err)
				}
				began := time.Now()
				second, err := selecting(t.Context(), q, redrive.Selection{InOrder: inOrder})
				if err != nil || second.Redriven != 33 || !second.Done() {
					t.Fatalf("the second report is %+v (%v), want the 33 others", second, err)
				}
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("it took %s to go on: messages were left hidden", took)
				}
				if got := versions(t, q)["o-1"]; len(got) != 50 || inOrder && !slices.IsSorted(got) {
					t.Errorf("the queue has %v, want each version once", got)
				}
			})
		})
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		fill(q, 3, "o-1")
		q.add("dlq", encryptedEvent, nil)
		var seen []int
		_, err := selecting(t.Context(), q, redrive.Selection{Progress: func(r redrive.Report) { seen = append(seen, r.Redriven+len(r.Kept)) }})
		if err != nil || !slices.Equal(seen, []int{1, 2, 3, 4}) {
			t.Errorf("it told %v (%v), want one more each time", seen, err)
		}
	})
}

// TestDiscard: what could not be kept a copy of stays.
func TestDiscard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for n := range 5 {
			q.add("dlq", fmt.Sprint("event ", n), nil)
		}
		var copies []string
		report, err := redrive.New(redrive.Clients{SQS: q}).Selecting(redrive.Selection{Match: func(m types.Message) bool { return *m.Body != "event 1" }}).
			Discard(t.Context(), "dlq", func(_ context.Context, m types.Message) error {
				if *m.Body == "event 3" {
					return errors.New("disk full")
				}
				copies = append(copies, *m.Body)
				return nil
			})
		if err != nil || report.Redriven != 3 || len(report.Kept) != 1 || report.Skipped != 1 {
			t.Fatalf("report is %+v (%v), want 3 discarded, 1 kept, 1 skipped", report, err)
		}
		if want := []string{"event 0", "event 2", "event 4"}; !slices.Equal(copies, want) {
			t.Errorf("copies of %v, want %v", copies, want)
		}
		if want, got := []string{"event 1", "event 3"}, q.bodies("dlq"); !slices.Equal(got, want) {
			t.Errorf("left are %v, want %v", got, want)
		}
	})
}

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/audit/audittest"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// watched are queues whose receives are counted by URL, and take their time at one of them.
type watched struct {
	*audittest.Queues
	received map[string]int
	slow     string // URL
}

func (w *watched) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	w.received[*in.QueueUrl]++
	if *in.QueueUrl == w.slow {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
	return w.Queues.ReceiveMessage(ctx, in, options...)
}

// watch replaces the auditor's queues.
func (f *fixture) watch(a *auditor) *watched {
	w := &watched{Queues: f.queues, received: map[string]int{}}
	a.queues = w
	return w
}

// A look into a dead-letter queue hides its messages from whoever redrives them, so there is none while nothing can be repaired,
// and an event that waits there is looked for once in a while.
func TestDeadLetterMessagesAreSeldomHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		a := f.auditor()
		w := f.watch(a)
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.queues.Put(dlqOf(shipping), bodyOf(t, event), nil, nil)
		f.minutes(a, 15)
		if n := w.received[dlqOf(shipping)]; n > 0 {
			t.Errorf("before an effect is missing, the dead-letter queue was looked into: %d receives", n)
		}
		looks := 0
		for range 60 {
			before := w.received[dlqOf(shipping)]
			f.minutes(a, 1)
			if w.received[dlqOf(shipping)] > before {
				looks++
			}
		}
		if looks < 3 || looks > 5 {
			t.Errorf("in an hour, %d runs looked into the dead-letter queue, want one each quarter", looks)
		}
	})
}

func TestASharedDeadLetterQueueIsLookedIntoOnceARun(t *testing.T) {
	receives := func(t *testing.T, consumers int) (n int) {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			for i := 2; i < consumers; i++ {
				name := fmt.Sprintf("Orders/Outbox/More%d", i)
				f.addConsumer(name, false)
				f.queues.Create(queueOf(name))
				f.queues.Create(dlqOf(name))
				f.change(func(d *description.Outbox) { d.Pipe = "" }) // then every consumer counts from its queue on
			}
			time.Sleep(10 * time.Minute)
			a := f.auditor()
			w := f.watch(a)
			_, rec := f.commit("o1")
			f.mustStream(a, rec)
			f.queues.Put(rulesDLQ, "nonsense", nil, nil)
			f.minutes(a, 20)
			for _, body := range f.listed() {
				if consumer, _, _ := strings.Cut(body, ":"); len(f.sentTo(consumer)) != 1 {
					t.Errorf("consumer %s was sent %q, want the event", consumer, f.sentTo(consumer))
				}
			}
			n = w.received[rulesDLQ]
		})
		return n
	}
	if two, four := receives(t, 2), receives(t, 4); two == 0 || four != two {
		t.Errorf("the queue was received from %d times with two consumers and %d times with four, want the same", two, four)
	}
}

// A dead-letter queue that takes long to look into delays neither the metrics nor the end of the run.
func TestRepairEndsInTimeAndAfterTheMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		a := f.auditor()
		w := f.watch(a)
		w.slow = dlqOf(shipping)
		for range 200 {
			f.queues.Put(dlqOf(shipping), "nonsense", nil, nil)
		}
		_, rec := f.commit("o1")
		f.mustStream(a, rec)
		time.Sleep(14 * time.Minute)
		f.minutes(a, 1)
		if w.received[dlqOf(shipping)] > 0 {
			t.Fatal("the first run that misses the effect repairs it already: this test shows nothing")
		}
		f.metrics.b.Reset()
		time.Sleep(time.Minute)
		began := time.Now()
		time.AfterFunc(2*time.Second, func() {
			if got := f.metric(shipping, audit.MetricUnconfirmed); got != 1 {
				t.Errorf("while the run repairs, Unconfirmed is %d, want 1", got)
			}
		})
		if _, err := a.handle(t.Context(), []byte(scheduled)); err != nil {
			t.Errorf("a repair that takes too long is a failure of the run: %v", err)
		}
		if took := time.Since(began); took < 30*time.Second || took > runsFor+time.Second {
			t.Errorf("the run took %s, want all of its %s and no more", took, runsFor)
		}
		f.expectMetric("", audit.MetricAuditRuns, 1)
		if got := f.sentTo(shipping); len(got) > 0 {
			t.Errorf("sent were %q, although not all dead-letter messages were seen", got)
		}
	})
}

// A consumer whose queue is gone cannot be repaired. The others can, and the audit goes on.
func TestAConsumerWithoutAQueueHoldsUpNoRepair(t *testing.T) {
	for name, gone := range map[string]string{"its queue": queueOf(history), "its dead-letter queue": dlqOf(history)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				a := f.auditor()
				_, rec := f.commit("o1")
				f.mustStream(a, rec)
				f.queues.Remove(gone)
				f.minutes(a, 20)
				if got := f.sentTo(shipping); len(got) != 1 {
					t.Errorf("sent to the other consumer were %q, want its event", got)
				}
				f.expectMetric("", audit.MetricAuditRuns, 1)
				f.expectMetric(history, audit.MetricUnconfirmed, 1)
				if logs := f.logs.String(); !strings.Contains(logs, "one of its queues is gone") {
					t.Error("the log does not say that the consumer cannot be repaired")
				}
			})
		})
	}
}

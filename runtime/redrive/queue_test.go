package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// redriveConsumer redrives "dlq" to "queue".
func redriveConsumer(t *testing.T, q *queues) redrive.Report {
	t.Helper()
	report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", redrive.ConsumerTarget{Queue: "queue"})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestTheCountIsNotTrusted: SQS's count is approximate, and a receive may overlook what is there.
func TestTheCountIsNotTrusted(t *testing.T) {
	for name, troubled := range map[string]func(*queues){
		"a count of nothing":           func(q *queues) { q.countsNothing = true },
		"receives that overlook":       func(q *queues) { q.miss = 2 },
		"both":                         func(q *queues) { q.countsNothing, q.miss = true, 2 },
		"receives that overlook a lot": func(q *queues) { q.miss = 8 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueues()
				troubled(q)
				q.add("dlq", "one", nil)
				q.add("dlq", "two", nil)
				if report := redriveConsumer(t, q); report.Redriven != 2 || !report.Done() {
					t.Errorf("report is %+v, want 2 redriven and nothing left", report)
				}
			})
		})
	}
}

func TestWhatOthersHoldIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", "held for long", nil).visible = time.Now().Add(time.Hour)
		q.add("dlq", "held for a moment", nil).visible = time.Now().Add(5 * time.Second)
		q.add("dlq", "free", nil)
		report := redriveConsumer(t, q)
		if report.Redriven != 2 || report.Left != 1 || report.Done() {
			t.Errorf("report is %+v, want 2 redriven and 1 left", report)
		}
		if got := q.bodies("dlq"); !slices.Equal(got, []string{"held for long"}) {
			t.Errorf("the dead-letter queue has %v", got)
		}
	})
}

// TestWhatComesBackIsNotMovedRoundAndRound: the consumer fails again while the redrive still works.
func TestWhatComesBackIsNotMovedRoundAndRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", "never handled", nil)
		q.onSend = func() { q.add("dlq", "never handled", nil) }
		report := redriveConsumer(t, q)
		if report.Redriven != 1 || len(report.Kept) != 1 || report.Left != 0 {
			t.Fatalf("report is %+v, want the one that was there redriven and the one that came back kept", report)
		}
		if says := report.Kept[0].Err.Error(); !strings.Contains(says, "failed again") {
			t.Errorf("it was kept because %q", says)
		}
		if left := q.bodies("dlq"); len(left) != 1 {
			t.Errorf("the dead-letter queue has %v, want the one that came back", left)
		}
	})
}

func TestAStormOfNewMessagesDoesNotKeepItBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", "old", nil)
		storm, calm := context.WithTimeout(t.Context(), time.Minute)
		defer calm()
		over := make(chan struct{})
		go func() {
			defer close(over)
			for storm.Err() == nil {
				time.Sleep(100 * time.Millisecond)
				q.add("dlq", "new", nil)
			}
		}()
		report := redriveConsumer(t, q)
		if storm.Err() != nil {
			t.Error("it went on until the storm was over")
		}
		if report.Redriven < 1 || report.Done() {
			t.Errorf("report is %+v, want the old one redriven and some left", report)
		}
		<-over
	})
}

// TestALongForwardIsNotDoubled: the message stays hidden from others, however long it takes, also where many were collected.
func TestALongForwardIsNotDoubled(t *testing.T) {
	t.Run("as they come", func(t *testing.T) { longForward(t, redrive.Selection{}) })
	t.Run("in order", func(t *testing.T) { longForward(t, redrive.Selection{InOrder: true}) })
}

func longForward(t *testing.T, selection redrive.Selection) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for n := range 10 { // one receive
			q.add("dlq", fmt.Sprint("event ", n), nil)
		}
		q.onSend = func() { time.Sleep(3 * time.Minute) }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { // another redrive, at the same time
			time.Sleep(time.Second)
			for ctx.Err() == nil {
				taken := q.take(&sqs.ReceiveMessageInput{QueueUrl: aws.String("dlq"), MaxNumberOfMessages: 10, VisibilityTimeout: 60})
				if len(taken) > 0 {
					t.Errorf("another receiver got %d messages that were being redriven", len(taken))
				}
				time.Sleep(time.Second)
			}
		}()
		if report, err := selecting(t.Context(), q, selection); err != nil || report.Redriven != 10 || !report.Done() {
			t.Errorf("report is %+v (%v), want 10 redriven", report, err)
		}
		stop()
		time.Sleep(time.Second)
	})
}

// TestWhatWasHiddenForLongIsGivenBack: an interrupted redrive leaves nothing hidden, however long it went on.
func TestWhatWasHiddenForLongIsGivenBack(t *testing.T) {
	for name, inOrder := range map[string]bool{"as they come": false, "in order": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueues()
				fill(q, 10, "o-1")
				ctx, interrupt := context.WithTimeout(t.Context(), 14*time.Minute)
				defer interrupt()
				q.onSend = func() { time.Sleep(3 * time.Minute) }
				report, err := selecting(ctx, q, redrive.Selection{InOrder: inOrder})
				if !errors.Is(err, context.DeadlineExceeded) || report.Redriven != 5 {
					t.Fatalf("report is %+v (%v), want 5 redriven and an interruption", report, err)
				}
				if got := q.take(&sqs.ReceiveMessageInput{QueueUrl: aws.String("dlq"), MaxNumberOfMessages: 10}); len(got) != 5 {
					t.Errorf("%d messages are visible, want the 5 others", len(got))
				}
			})
		})
	}
}

func TestADeletedMessageThatComesAgainIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", "event", nil)
		q.deliverAgain = true
		if report := redriveConsumer(t, q); report.Redriven != 1 || !report.Done() {
			t.Errorf("report is %+v, want 1 redriven", report)
		}
		if got := q.bodies("queue"); len(got) != 1 {
			t.Errorf("the queue has %v, want the event once", got)
		}
	})
}

// TestKeptMessagesDoNotHideOthers: what is kept comes up again while there is still something to redrive.
func TestKeptMessagesDoNotHideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for range 40 {
			q.add("dlq", encryptedEvent, nil)
		}
		for n := range 40 {
			q.add("dlq", fmt.Sprint("event ", n), nil)
		}
		q.onSend = func() { time.Sleep(10 * time.Second) }
		report := redriveConsumer(t, q)
		if report.Redriven != 40 || len(report.Kept) != 40 || report.Left != 0 {
			t.Errorf("%d redriven, %d kept, %d left; want 40, 40 and 0", report.Redriven, len(report.Kept), report.Left)
		}
	})
}

func TestWhatIsNotAcceptedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		q.add("dlq", "event", nil)
		q.refuse["queue"] = errors.New("over quota")
		report := redriveConsumer(t, q)
		if len(report.Kept) != 1 || !strings.Contains(report.Kept[0].Err.Error(), "over quota") || report.Left != 0 {
			t.Errorf("report is %+v, want one message kept, and why", report)
		}
		if left := q.bodies("dlq"); len(left) != 1 {
			t.Errorf("the dead-letter queue has %v, want the message", left)
		}
	})
}

// TestItStopsWhenItCannotDelete: to go on would double every message.
func TestItStopsWhenItCannotDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for n := range 25 {
			q.add("dlq", fmt.Sprint("event ", n), nil)
		}
		q.keepAll = errors.New("access denied")
		report, err := redrive.New(redrive.Clients{SQS: q}).Consumer(t.Context(), "dlq", redrive.ConsumerTarget{Queue: "queue"})
		if err == nil || !strings.Contains(err.Error(), "m-1 was redriven but could not be deleted: access denied") {
			t.Errorf("got %v, want an error that names the message", err)
		}
		if report.Redriven != 1 || len(q.bodies("queue")) != 1 {
			t.Errorf("report is %+v and the queue has %v, want one", report, q.bodies("queue"))
		}
	})
}

func TestAnEmptyQueueIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if report := redriveConsumer(t, newQueues()); report.Redriven != 0 || !report.Done() {
			t.Errorf("report is %+v", report)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s to see that there is nothing", took)
		}
	})
}

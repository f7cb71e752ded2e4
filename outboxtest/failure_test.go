package outboxtest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What a test says when it fails lets a stranger see what has happened, without a log.
func TestFailures(t *testing.T) {
	t.Parallel()
	short := Patience(500 * time.Millisecond)
	t.Run("a consumer that fails", func(t *testing.T) {
		said := failure(t, func(t testing.TB) {
			event := start(t).Publish(t, order("no address", ""))
			event.FailedBy(t, "Ship")
			start(t, short).Event(t, ID(event.ID)).HandledBy(t, "Ship")
		})
		wantLines(t, said,
			"Ship has not handled event ", "(OrderCreated of Order no address, version 1) within 500ms",
			"Where it is now", "Ship/Queue: 1 attempt failed. Its message comes back when the visibility timeout is over (RetryNow makes it). The last failure: batchItemFailures",
			"Its way", "happened, as orders says", "Bus: accepted; 1 target", "Ship/Rule handed it to Ship/Queue",
			"Ship/Function is invoked with it", "| refused: the order has no address", "Ship/Function FAILED: batchItemFailures")
	})
	t.Run("a dead letter", func(t *testing.T) {
		said := failure(t, func(t testing.TB) {
			run := start(t)
			event := run.Publish(t, order("lost address", ""))
			for range 3 {
				event.RetryNow(t, "Ship")
			}
			run.NoDeadLetters(t)
		})
		wantLines(t, said, "(OrderCreated of Order lost address, version 1) is a dead letter.",
			"Ship/Queue: a dead letter in Ship/DeadLetterQueue, after 3 attempts. The last failure: batchItemFailures", "Ship/Queue gave it up; it is in Ship/DeadLetterQueue: received 3 times and not deleted")
	})
	t.Run("an event that a rule does not match fails at once", func(t *testing.T) {
		said := failure(t, func(t testing.TB) {
			start(t).Publish(t, Publication{Source: "payments", Type: "Paid", Detail: map[string]any{"amount": 3}}).HandledBy(t, "Ship")
		})
		wantLines(t, said, "Ship has not handled event ", "(Paid of payments).", "nowhere: the bus has accepted it, and no rule matches")
	})
	t.Run("another number of effects, and the fault behind it", func(t *testing.T) {
		said := failure(t, func(t testing.TB) {
			run := start(t)
			p := order("counted", "A")
			p.ID = "counted-1"
			run.Fault(t, "bus.duplicate", p.ID)
			event := run.Publish(t, p)
			event.Effects(t, "Ship").Is(2)
		})
		wantLines(t, said, "Ship has had 1 effect with event counted-1", "FAULT injected: bus.duplicate, to this event, at Ship", "effect of Ship/Function: PutItem to Shipments")
	})
	t.Run("an event that does not come", func(t *testing.T) {
		said := failure(t, func(t testing.TB) {
			run := start(t, short)
			run.Publish(t, order("came", "A"))
			run.Event(t, Type("OrderCreated"), Aggregate("Order", "came not"))
		})
		wantLines(t, said, `no event with type OrderCreated, aggregate Order "came not" has come within 500ms`, "Those that come nearest, the latest first:", "(OrderCreated of Order came, version 1)")
	})
	t.Run("another event may not be meant", func(t *testing.T) {
		wantLines(t, failure(t, func(t testing.TB) { start(t).Event(t, Type("OrderCreated")) }),
			`matchers must leave out the events of other tests in this run: one of ID, Aggregate, CausedBy, Correlation and Where must be among them, got "type OrderCreated"`)
		wantLines(t, failure(t, func(t testing.TB) {
			start(t).Stub(t, "Ship", func(context.Context, *Event) error { return errors.New("no") })
		}), "matchers must leave out the events of other tests")
	})
}

// What is not there, or is not allowed, is named with what there is.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for want, mistake := range map[string]func(t testing.TB, run *Run){
		`consumer must be one of Ship, got "Bill"`:             func(t testing.TB, run *Run) { run.Publish(t, order("m-1", "A")).HandledBy(t, "Bill") },
		`output must be one of NightsUrl, QueueUrl, got "Url"`: func(t testing.TB, run *Run) { run.Output(t, "Url") },
		`table must be one of Shipments, got "Orders"`:         func(t testing.TB, run *Run) { run.Items(t, "Orders") },
		`the stack Shop has no REST API`:                       func(t testing.TB, run *Run) { run.GET(t, "/orders") },
		`unknown point "queue.twice"`:                          func(t testing.TB, run *Run) { run.Fault(t, "queue.twice", "m-2") },
		`eventID must not be empty`:                            func(t testing.TB, run *Run) { run.Fault(t, "queue.duplicate", "") },
		`Advance needs a run that no other test shares`:        func(t testing.TB, run *Run) { run.Advance(t, time.Hour) },
		`Answer needs a run that no other test shares`:         func(t testing.TB, run *Run) { run.Answer(t, "Ship", nil) },
		`NotAuthorizedForSourceException`:                      func(t testing.TB, run *Run) { run.Publish(t, Publication{Source: "aws.s3", Type: "X"}) },
		`testdata/nothing is not a cloud assembly`:             func(t testing.TB, _ *Run) { Start(t, Assembly("testdata/nothing")) },
		`App and Assembly must not both be set`:                func(t testing.TB, _ *Run) { Start(t, App("."), Assembly(".")) },
		`App must be a folder with a cdk.json`:                 func(t testing.TB, _ *Run) { Start(t, App("testdata")) },
		"App and Assembly must not both be set\nPatience must be more than 0": func(t testing.TB, _ *Run) {
			Start(t, App("."), Assembly("."), Patience(-time.Second))
		},
		"Source must not be empty\nType must not be empty": func(t testing.TB, run *Run) { run.Publish(t, Publication{}) },
		`Detail must encode to a JSON object, got "text"`: func(t testing.TB, run *Run) {
			run.Publish(t, Publication{Source: "payments", Type: "Paid", Detail: "text"})
		},
		`delay must be whole seconds from 0 to 15m0s, got 1.5s`: func(t testing.TB, run *Run) {
			run.DeliverLate(t, run.Publish(t, order("m-3", "A")), "Ship", 1500*time.Millisecond)
		},
		`Patience must be more than 0, got 0s`: func(t testing.TB, _ *Run) { Start(t, Patience(0)) },
	} {
		run := start(t)
		wantLines(t, failure(t, func(t testing.TB) { mistake(t, run) }), want)
	}
}

// A batch may hold the messages of several tests, as it happens.
func TestAReasonHasNoCountOfItsBatch(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"1 of 1 failed: batchItemFailures m-1":            "batchItemFailures m-1",
		"2 of 10 failed: batchItemFailures m-1, m-2":      "batchItemFailures m-1, m-2",
		"function Ship failed: 1 of 1 failed: in its log": "function Ship failed: 1 of 1 failed: in its log",
	} {
		if got := reason(detail); got != want {
			t.Errorf("%q becomes %q, want %q", detail, got, want)
		}
	}
}

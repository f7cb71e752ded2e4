package main

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errAWS = errors.New("ThrottlingException: rate exceeded")

// bothOf returns what is listed where an event is missing at both consumers.
func bothOf(event string) []string { return []string{history + ": " + event, shipping + ": " + event} }

func (f *fixture) expectListed(want ...string) {
	f.t.Helper()
	if got := f.listed(); !slices.Equal(got, want) {
		f.t.Errorf("listed are %q, want %q", got, want)
	}
}

func (f *fixture) expectMetric(consumer, name string, want int64) {
	f.t.Helper()
	if got := f.metric(consumer, name); got != want {
		f.t.Errorf("%s of %s is %d, want %d", name, consumer, got, want)
	}
}

func TestWhatGoesWellLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		time.Sleep(2 * time.Second)
		f.deliver(shipping, event)
		f.deliver(history, event)
		f.minutes(a, 20)
		f.expectListed()
		if n := f.calls.Count("PutItem"); n > 0 {
			t.Errorf("%d items were written for an event that went well", n)
		}
		if left := f.queues.Bodies(pendingURL); len(left) > 0 {
			t.Errorf("the pending queue still has %q", left)
		}
		for _, c := range []string{shipping, history} {
			f.expectMetric(c, "TimeToEffect", 2000)
			f.expectMetric(c, "Unconfirmed", 0)
			f.expectMetric(c, "OldestUnconfirmed", 0)
		}
		f.expectMetric("", "AuditRuns", 1)
	})
}

func TestWhatIsMissingIsListedForItsConsumerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.deliver(history, event)
		f.minutes(a, 14)
		f.expectListed()
		f.minutes(a, 2)
		f.expectListed(shipping + ": o1-1")
		f.expectMetric(shipping, "Unconfirmed", 1)
		f.expectMetric(shipping, "OldestUnconfirmed", 16*60)
		f.expectMetric(history, "Unconfirmed", 0)
		f.deliver(shipping, event)
		f.minutes(a, 70)
		f.expectListed()
		f.expectMetric(shipping, "Unconfirmed", 0)
		f.expectMetric(shipping, "OldestUnconfirmed", 0)
	})
}

// A dead letter is no effect: the event stays on the list until somebody redrives it.
func TestADeadLetterConfirmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.deliver(history, event)
		f.queues.Put(dlqOf(shipping), bodyOf(t, event), nil, nil)
		f.minutes(a, 120)
		f.expectListed(shipping + ": o1-1")
		if sent := f.queues.Bodies(queueOf(shipping)); len(sent) > 0 {
			t.Errorf("an event that waits in a dead-letter queue was sent again: %q", sent)
		}
		if left := f.queues.Bodies(dlqOf(shipping)); len(left) != 1 {
			t.Errorf("the dead-letter queue has %q, want its message", left)
		}
	})
}

func TestPausesGrow(t *testing.T) {
	var got []time.Duration
	for checks := 1; checks <= 9; checks++ {
		got = append(got, pauseAfter(checks)/time.Minute)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}; !slices.Equal(got, want) {
		t.Errorf("pauses are %d minutes, want %d", got, want)
	}
}

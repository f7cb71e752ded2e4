package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// commitMissing commits events that have no effect, and lets time pass until they are listed.
func (f *fixture) commitMissing(a *auditor, n int) {
	f.t.Helper()
	var records []json.RawMessage
	for range n {
		f.sequence++
		_, rec := f.commit(fmt.Sprintf("m%05d", f.sequence))
		records = append(records, rec)
	}
	f.mustStream(a, records...)
	time.Sleep(14 * time.Minute)
	f.minutes(a, 2)
}

// onlyShipping takes the other consumer away.
func (f *fixture) onlyShipping() { delete(f.parameters.Values, "consumer/History") }

func TestConfirmWithinMayBeLongerThanSQSDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.change(func(d *description.Outbox) { d.Audit.ConfirmWithinSeconds = "43200" })
		a := f.auditor()
		_, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.minutes(a, 12*60-1)
		f.expectListed()
		if n := f.calls.Count("ChangeMessageVisibility"); n != 1 {
			t.Errorf("the message was hidden %d times, want once for the rest", n)
		}
		f.minutes(a, 3)
		f.expectListed(bothOf("o1-1")...)
	})
}

func TestARemovedConsumerIsNotAskedForAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		_, listed := f.commit("o1")
		f.mustStream(a, listed)
		time.Sleep(14 * time.Minute)
		f.minutes(a, 1)
		_, pending := f.commit("o2")
		f.mustStream(a, pending)
		f.onlyShipping()
		f.metrics.b.Reset()
		f.minutes(a, 20)
		f.expectMetric(history, audit.MetricUnconfirmed, -1)
		f.expectMetric(shipping, audit.MetricUnconfirmed, 2)
		// What it misses is kept until it expires: the description may only be on its way to be replaced.
		f.addConsumer(history, true)
		f.minutes(a, 2)
		f.expectMetric(history, audit.MetricUnconfirmed, 2)
	})
}

func TestWhatExpiresWithoutEffectIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		a := f.auditor()
		f.commitMissing(a, 1)
		f.minutes(a, 10)
		time.Sleep(7*24*time.Hour - 30*time.Minute)
		f.minutes(a, 1)
		if n := len(f.listed()); n != 1 {
			t.Fatalf("%d are listed before the event expires, want 1", n)
		}
		time.Sleep(10 * time.Minute)
		f.minutes(a, 1)
		f.expectListed()
		if logs := f.logs.String(); !strings.Contains(logs, "an event has expired without effect") {
			t.Error("the log does not say that an event has expired without effect")
		}
	})
}

// A run ends before the function's time is over, and what it leaves, the next ones do.
func TestARunEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.onlyShipping()
		a := f.auditor()
		for range 40 {
			_, rec := f.commit("o1")
			f.mustStream(a, rec)
		}
		time.Sleep(16 * time.Minute)
		f.calls.Takes = time.Second
		runs := 0
		for len(f.listed()) < 40 {
			if runs++; runs > 20 {
				t.Fatalf("after %d runs only %d of 40 are listed", runs, len(f.listed()))
			}
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			if _, err := a.handle(ctx, json.RawMessage(scheduled)); err != nil {
				t.Fatal(err)
			}
			cancel()
			if took := time.Since(began); took > 30*time.Second {
				t.Fatalf("a run took %s of the function's 30s", took)
			}
			time.Sleep(time.Minute)
		}
		if runs < 2 {
			t.Error("one run did everything: this test shows nothing")
		}
	})
}

// A list that has become long costs each run a bounded number of reads, is read in turn, and is short again soon after the
// consumer is.
func TestALongListIsReadInTurn(t *testing.T) {
	defer func(before int) { sweepsAtMost = before }(sweepsAtMost)
	sweepsAtMost = pageSize
	synctest.Test(t, func(t *testing.T) {
		many := sweepsAtMost + 500
		f := newFixture(t)
		f.onlyShipping()
		f.change(func(d *description.Outbox) { d.Audit.RepairPerMinute = "" })
		a := f.auditor()
		f.commitMissing(a, many)
		f.minutes(a, 2)
		f.expectMetric(shipping, audit.MetricUnconfirmed, int64(many))
		before := f.tables.ReadUnits
		f.minutes(a, 1)
		if units := f.tables.ReadUnits - before; units > float64(sweepsAtMost) {
			t.Errorf("a run took %.0f read units", units)
		}
		for _, item := range f.tables.Items(outboxTable, "") {
			event, err := audit.EventOf(item)
			if err != nil {
				t.Fatal(err)
			}
			f.tables.Put(inboxTable, markerOf(event))
		}
		f.minutes(a, 8)
		f.expectListed()
		f.minutes(a, 1)
		f.expectMetric(shipping, audit.MetricUnconfirmed, 0)
	})
}

func TestABrokenInboxHoldsUpNoOtherConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.describe("consumer/Foreign", description.Consumer{
			Version: "1", ID: "Foreign", Name: "foreign", Inbox: "TABLE", InboxTable: "gone", Pattern: json.RawMessage(`{"source": ["orders"]}`),
		})
		f.tables.Gone = "gone"
		a := f.auditor()
		event, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.deliver(shipping, event)
		time.Sleep(15 * time.Minute)
		if err := f.minute(a); err == nil || !strings.Contains(err.Error(), "foreign") {
			t.Errorf("the run does not name the consumer whose inbox it cannot read: %v", err)
		}
		f.expectMetric(shipping, audit.MetricConfirmed, 1)
		f.expectMetric("", audit.MetricAuditRuns, -1)
		f.expectListed(history+": o1-1", "foreign: o1-1")
		if left := f.queues.Bodies(pendingURL); len(left) > 0 {
			t.Errorf("the pending queue still has %q", left)
		}
	})
}

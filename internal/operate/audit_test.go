package operate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

// audited4 commits four orders to Ship and History: one has both effects, one is dead-lettered by Ship, one is missing at
// Ship, and one is so young that its effects are not due.
func audited4(w *world) {
	fine, dead, gone := w.commit("OrderCreated", "fine", 1, 2*time.Hour), w.commit("OrderCreated", "dead", 1, 2*time.Hour), w.commit("OrderCreated", "gone", 1, 2*time.Hour)
	w.commit("OrderCreated", "young", 1, time.Minute)
	for _, it := range []item{fine, dead, gone} {
		w.handle("History", it)
	}
	w.handle("Ship", fine)
	w.bury(plantQueues+"Ship-dead", w.body(dead), map[string]string{inbox.ReasonAttribute: "no such address"})
	w.missed("Ship", dead)
	w.missed("Ship", gone)
	w.metrics["Confirmed Orders/Outbox Orders/Outbox/Ship"] = []datapoint{{time.Now().Add(-time.Hour), 1}}
	w.metrics["Confirmed Orders/Outbox Orders/Outbox/History"] = []datapoint{{time.Now().Add(-time.Hour), 2}, {time.Now().Add(-2 * time.Hour), 1}}
}

// TestLedger: from the list and in full, the same.
func TestLedger(t *testing.T) {
	for name, full := range map[string]bool{"from the list": false, "in full": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			audited4(w)
			s, notes := w.search()
			s.Full = full
			l, missing, text := w.ledger(s)
			if slices.Sort(missing); !slices.Equal(missing, []string{"Ship dead-1", "Ship gone-1"}) {
				t.Errorf("it lists %v", missing)
			}
			for id, want := range map[string][4]int64{"Ship": {3, 1, 1, 1}, "History": {3, 3, 0, 0}} {
				r := w.row(l, id)
				if got := [4]int64{r.Matched, r.Effects, r.DeadLetters, r.Missing}; got != want {
					t.Errorf("%s has %v, want %v", id, got, want)
				}
			}
			if !w.row(l, "Mail").NoInbox || l.Missing() != 1 {
				t.Errorf("the ledger is %+v", l)
			}
			for _, want := range []string{"it waits in a dead-letter queue: no such address", "→ what waits in dead-letter queues, of Ship: outbox dead-letters list --stack Orders", "→ what is missing, of Ship: outbox repair --stack Orders"} {
				if !strings.Contains(text, want) {
					t.Errorf("it does not show %q:\n%s", want, text)
				}
			}
			if full && (l.Committed == nil || *l.Committed != 3 || !strings.Contains(notes.String(), "read units") || !strings.Contains(text, "3 events committed")) {
				t.Errorf("in full it is %+v; before it said %q", l, notes)
			}
		})
	}
}

// TestLedgerLooksAgain: what had its effect since the auditor looked is not missing, although it is on the list.
func TestLedgerLooksAgain(t *testing.T) {
	w := newWorld(t)
	late := w.commit("OrderCreated", "late", 1, 2*time.Hour)
	w.missed("Ship", late)
	w.handle("Ship", late)
	s, _ := w.search()
	if l, missing, text := w.ledger(s); len(missing) != 0 || l.Missing() != 0 || !strings.Contains(text, "nothing is missing") {
		t.Errorf("it lists %v:\n%s", missing, text)
	}
}

// TestLedgerOfATime: events from before are counted apart, and are not overlooked.
func TestLedgerOfATime(t *testing.T) {
	w := newWorld(t)
	w.missed("Ship", w.commit("OrderCreated", "old", 1, 3*24*time.Hour))
	w.missed("Ship", w.commit("OrderCreated", "new", 1, 2*time.Hour))
	w.queues[plantQueues+"Ship"]["CreatedTimestamp"] = fmt.Sprint(time.Now().Add(-10 * 24 * time.Hour).Unix())
	s, _ := w.search()
	l, missing, text := w.ledger(s)
	if !slices.Equal(missing, []string{"Ship new-1"}) || l.Earlier != 1 || l.Missing() != 2 || !strings.Contains(text, "1 effect is not there either") {
		t.Errorf("of the last day it lists %v:\n%s", missing, text)
	}
	s.Since = time.Now().Add(-5 * 24 * time.Hour)
	if _, missing, _ := w.ledger(s); len(missing) != 2 {
		t.Errorf("of five days it lists %v", missing)
	}
}

// TestLedgerOfATimeThatIsOver counts the effects of that time's events, not those that came after it.
func TestLedgerOfATimeThatIsOver(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	now := time.Now()
	w.metrics["Confirmed Orders/Outbox Orders/Outbox/Ship"] = []datapoint{
		{now.Add(-2*day + 5*time.Minute), 1},     // looked at within the time, written before it
		{now.Add(-2*day + 17*time.Minute), 10},   // the first of the time
		{now.Add(-day + 10*time.Minute), 100},    // written within the time, looked at after it
		{now.Add(-day + 21*time.Minute), 1000},   // the last, after the whole window of its batch
		{now.Add(-day + 30*time.Minute), 10_000}, // written after it
		{now.Add(-time.Hour), 100_000},
	}
	w.missed("Ship", w.commit("OrderCreated", "within", 1, 30*time.Hour))
	w.missed("Ship", w.commit("OrderCreated", "after", 1, 2*time.Hour))
	w.queues[plantQueues+"Ship"]["CreatedTimestamp"] = fmt.Sprint(now.Add(-10 * day).Unix())
	s, _ := w.search()
	s.Since, s.Until = now.Add(-2*day), now.Add(-day)
	l, missing, text := w.ledger(s)
	if r := w.row(l, "Ship"); r.Effects != 1110 || r.Matched != 1111 || !slices.Equal(missing, []string{"Ship within-1"}) {
		t.Errorf("of a day that is over it has %+v and lists %v, want 1110 effects and one missing", r, missing)
	}
	if !strings.Contains(text, "approximate") {
		t.Errorf("it does not say that these are approximate:\n%s", text)
	}
	// Of a time of which nothing is due, CloudWatch is not asked: it refuses a time that ends before it begins.
	s.Since, s.Until = now.Add(-time.Minute), time.Time{}
	if l, _, _ := w.ledger(s); w.row(l, "Ship").Effects != 0 {
		t.Errorf("of the last minute it has %+v", w.row(l, "Ship"))
	}
}

func TestAuditWithoutAnAuditor(t *testing.T) {
	w := newWorld(t)
	w.box.Audit = nil
	audited := w.commit("OrderCreated", "gone", 1, 2*time.Hour)
	w.handle("History", audited)
	s, _ := w.search()
	if _, err := Audit(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "--full") {
		t.Errorf("got %v, want an error that says --full", err)
	}
	s.Full = true
	if l, missing, _ := w.ledger(s); l.Missing() != 1 || !slices.Equal(missing, []string{"Ship gone-1"}) {
		t.Errorf("in full it lists %v", missing)
	}
	s.Consumer = "Mail"
	if _, err := Audit(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "Mail has no inbox") {
		t.Errorf("of a consumer without an inbox: got %v", err)
	}
}

// TestMissingListIsBounded, and obeys no event.
func TestMissingListIsBounded(t *testing.T) {
	var text strings.Builder
	list := MissingList{W: &text, Limit: 2}
	for n := range 5 {
		if err := list.Add(MissingEffect{Consumer: "Ship", ID: fmt.Sprintf("e-%d\x1b[2J\n", n)}); err != nil {
			t.Fatal(err)
		}
	}
	list.End()
	if got := text.String(); strings.Contains(got, "e-2") || !strings.Contains(got, "… and 3 more") || strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 4 {
		t.Errorf("it shows %q", got)
	}
}

// TestLedgerSaysSinceWhenAConsumerCounts: else one that has just joined seems to match nothing.
func TestLedgerSaysSinceWhenAConsumerCounts(t *testing.T) {
	w := newWorld(t)
	w.queues[plantQueues+"Ship"]["CreatedTimestamp"] = fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	w.commit("OrderCreated", "o-1", 1, 2*time.Hour)
	s, _ := w.search()
	s.Full = true
	l, missing, text := w.ledger(s)
	if w.row(l, "Ship").Matched != 0 || !slices.Equal(missing, []string{"History o-1-1"}) || !strings.Contains(text, "Ship counts from ") {
		t.Errorf("it lists %v:\n%s", missing, text)
	}
}

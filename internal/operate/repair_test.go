package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// repair repairs and returns what it said.
func (w *world) repair(ctx context.Context, change func(*Repair), answers string) (*RepairResult, string, error) {
	w.t.Helper()
	d, notes := dialog(answers)
	r := Repair{Search: Search{Clients: w.clients(), Outbox: w.box, Dialog: d}, Rate: maximumRate, Maximum: 1000}
	if change != nil {
		change(&r)
	}
	result, err := r.Run(ctx, CommandLine{Stack: "Orders"})
	return result, notes.String(), err
}

// sentTo returns the ids of the events that were sent to a consumer's queue.
func (w *world) sentTo(id string) (ids []string) {
	w.t.Helper()
	for _, body := range w.sent[plantQueues+id] {
		event, err := record.Decode([]byte(body))
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

// TestRepairSendsToTheOneConsumer: from the list and in full, what is missing and nothing else, and nowhere else.
func TestRepairSendsToTheOneConsumer(t *testing.T) {
	for name, full := range map[string]bool{"from the list": false, "in full": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			audited4(w)
			result, said, err := w.repair(t.Context(), func(r *Repair) { r.Full = full }, "y\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := w.sentTo("Ship"); !slices.Equal(got, []string{"gone-1"}) || len(w.sent) != 1 {
				t.Errorf("it sent %v to Ship, and to %d queues in all", got, len(w.sent))
			}
			ship := result.of(w.consumer("Ship"))
			if ship.Sent != 1 || ship.DeadLettered != 1 || !strings.Contains(said, "Ship: 1 event to send to its queue, not 1 in a dead-letter queue") ||
				!strings.Contains(said, "outbox dead-letters redrive --stack Orders --consumer Ship") {
				t.Errorf("it came to %+v and said\n%s", ship, said)
			}
			for _, u := range listed(t, w.box.Audit.Table, w.consumer("Ship").Name) {
				if repaired := u.ID == "gone-1"; repaired != (u.Repairs == 1) {
					t.Errorf("%s was noted as repaired %d times", u.ID, u.Repairs)
				}
			}
			// What was sent is what a rule sends: the real inbox takes it.
			event := w.sent[plantQueues+"Ship"][0]
			var envelope struct{ Source, Account, Region string }
			if err := json.Unmarshal([]byte(event), &envelope); err != nil || envelope.Account != "111122223333" || envelope.Region != "eu-central-1" {
				t.Errorf("the message is %s (%v)", event, err)
			}
			// Once more, and too soon to know whether it worked.
			if result, _, err := w.repair(t.Context(), nil, "y\n"); err != nil || result.of(w.consumer("Ship")).Recent != 1 || len(w.sentTo("Ship")) != 1 {
				t.Errorf("at once again it came to %+v (%v)", result, err)
			}
		})
	}
}

// TestRepairAsks, and without a yes nothing is sent and nothing is noted.
func TestRepairAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*Repair)
		answers string
		err     error
	}{
		"no":        {nil, "n\n", errDeclined},
		"no answer": {nil, "", errDeclined},
		"a dry run": {func(r *Repair) { r.DryRun = true }, "y\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			audited4(w)
			_, said, err := w.repair(t.Context(), tc.change, tc.answers)
			if !errors.Is(err, tc.err) || len(w.sent) != 0 || !strings.Contains(said, "event gone-1") {
				t.Errorf("got %v, sent %v; it said\n%s", err, w.sent, said)
			}
			for _, u := range listed(t, w.box.Audit.Table, w.consumer("Ship").Name) {
				if u.Repairs != 0 {
					t.Errorf("%s was noted as repaired", u.ID)
				}
			}
		})
	}
}

// TestRepairLeavesAConsumerThatIsBehind: its queue may hold what it misses.
func TestRepairLeavesAConsumerThatIsBehind(t *testing.T) {
	w := newWorld(t)
	audited4(w)
	w.queues[plantQueues+"Ship"]["ApproximateNumberOfMessages"] = "3"
	result, said, err := w.repair(t.Context(), nil, "y\n")
	if err != nil || len(w.sent) != 0 || result.of(w.consumer("Ship")).Behind != 1 || !strings.Contains(said, "give --behind") {
		t.Errorf("got %v, sent %v; it said\n%s", err, w.sent, said)
	}
	if _, _, err := w.repair(t.Context(), func(r *Repair) { r.Behind = true }, "y\n"); err != nil || len(w.sentTo("Ship")) != 1 {
		t.Errorf("with --behind: got %v, sent %v", err, w.sent)
	}
}

func TestRepairFilters(t *testing.T) {
	w := newWorld(t)
	for _, order := range []string{"o-1", "o-2"} {
		it := w.commit("OrderCreated", order, 1, 2*time.Hour)
		w.missed("Ship", it)
		w.missed("History", it)
	}
	w.missed("History", w.commit("OrderUpdated", "o-3", 1, time.Hour))
	for name, tc := range map[string]struct {
		change func(*Repair)
		want   int
	}{
		"all":                {func(*Repair) {}, 5},
		"a consumer":         {func(r *Repair) { r.Consumer = "Ship" }, 2},
		"a type":             {func(r *Repair) { r.Type = "OrderUpdated" }, 1},
		"an aggregate":       {func(r *Repair) { r.Aggregate = "Order#o-1" }, 2},
		"an aggregate's id":  {func(r *Repair) { r.Aggregate = "o-2" }, 2},
		"another aggregate":  {func(r *Repair) { r.Aggregate = "Cart#o-2" }, 0},
		"since":              {func(r *Repair) { r.Since = time.Now().Add(-90 * time.Minute) }, 1},
		"until":              {func(r *Repair) { r.Until = time.Now().Add(-90 * time.Minute) }, 4},
		"a bounded number":   {func(r *Repair) { r.Maximum = 2 }, 2},
		"all of it, in full": {func(r *Repair) { r.Full = true }, 5},
	} {
		result, said, err := w.repair(t.Context(), func(r *Repair) { r.DryRun = true; tc.change(r) }, "")
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, c := range result.Consumers {
			total += c.ToSend
		}
		if total != tc.want || result.More != (name == "a bounded number") {
			t.Errorf("%s: %d to send, want %d; it said\n%s", name, total, tc.want, said)
		}
	}
}

// TestRepairSendsVersionsInOrder to an ordered consumer, although the list has them by age.
func TestRepairSendsVersionsInOrder(t *testing.T) {
	w := newWorld(t)
	for v := range int64(20) {
		w.missed("History", w.commit("OrderUpdated", "o-1", v+1, time.Hour+time.Duration(v)*time.Minute)) // clocks of writers differ
	}
	if _, _, err := w.repair(t.Context(), nil, "y\n"); err != nil {
		t.Fatal(err)
	}
	var want []string
	for v := range 20 {
		want = append(want, fmt.Sprintf("o-1-%d", v+1))
	}
	if got := w.sentTo("History"); !slices.Equal(got, want) {
		t.Errorf("it sent %v", got)
	}
}

// TestRepairSendsVersionsInOrderOfClocksThatDiffer: events of other aggregates, written between those of one by its skewed
// clocks, do not come between its versions either.
func TestRepairSendsVersionsInOrderOfClocksThatDiffer(t *testing.T) {
	at := time.Now()
	event := func(order string, version int64, minute int) MissingEffect {
		return MissingEffect{AggregateType: "Order", AggregateID: order, Version: version, WrittenAt: at.Add(time.Duration(minute) * time.Minute)}
	}
	// By time, b lies between the two versions of a, which by version are the other way round: a comparison that takes the one
	// within an aggregate and the other between two goes around in a circle.
	want := []string{"a 1", "a 2", "a 3", "b 1", "b 2", "c 1", "c 2"}
	plan := []MissingEffect{event("a", 1, 9), event("a", 2, 5), event("a", 3, 1), event("b", 1, 7), event("b", 2, 3), event("c", 1, 8), event("c", 2, 4)}
	for first := range plan {
		for second := range plan { // in whatever order they were found
			c := ConsumerRepair{plan: slices.Clone(plan)}
			c.plan[0], c.plan[first] = c.plan[first], c.plan[0]
			c.plan[len(plan)-1], c.plan[second] = c.plan[second], c.plan[len(plan)-1]
			c.sort()
			var got []string
			for _, m := range c.plan {
				got = append(got, fmt.Sprint(m.AggregateID, " ", m.Version))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("it sends %v, want %v", got, want)
			}
		}
	}
}

// TestRepairOfWhatHasExpired: it is reported and does not keep the others.
func TestRepairOfWhatHasExpired(t *testing.T) {
	w := newWorld(t)
	gone := w.commit("OrderCreated", "o-1", 1, 2*time.Hour)
	w.missed("Ship", gone)
	w.missed("Ship", w.commit("OrderCreated", "o-2", 1, 2*time.Hour))
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &w.box.Table, Key: item{"pk": gone["pk"], "sk": gone["sk"]}}); err != nil {
		t.Fatal(err)
	}
	result, said, err := w.repair(t.Context(), nil, "y\n")
	if err != nil || !slices.Equal(w.sentTo("Ship"), []string{"o-2-1"}) || !strings.Contains(said, "1 event has left the outbox table") {
		t.Errorf("got %v, sent %v; it said\n%s", err, w.sentTo("Ship"), said)
	}
	if err := result.Unrepaired(); err == nil {
		t.Error("nobody is told that an event cannot be repaired")
	}
}

// TestRepairIsInterruptedAndGoesOn: in the end each event was sent.
func TestRepairIsInterruptedAndGoesOn(t *testing.T) {
	w := newWorld(t)
	for n := range 30 {
		w.missed("Ship", w.commit("OrderCreated", fmt.Sprint("o-", n), 1, 2*time.Hour))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.onSend = func(string, string) error { stop(); return nil }
	result, _, err := w.repair(ctx, nil, "y\n")
	first := len(w.sentTo("Ship"))
	if err == nil || !strings.Contains(err.Error(), "goes on") || !result.Interrupted || first == 0 || first == 30 || result.of(w.consumer("Ship")).Sent != first {
		t.Fatalf("got %v after %d events, %+v", err, first, result)
	}
	w.onSend = nil
	if _, _, err := w.repair(t.Context(), nil, "y\n"); err != nil {
		t.Fatal(err)
	}
	sent := w.sentTo("Ship")
	slices.Sort(sent)
	if n := len(slices.Compact(sent)); n != 30 || len(w.sentTo("Ship")) != 30 {
		t.Errorf("in the end %d of 30 events were sent, by %d messages", n, len(w.sentTo("Ship")))
	}
}

// TestRepairKeepsToItsRate.
func TestRepairKeepsToItsRate(t *testing.T) {
	w := newWorld(t)
	for n := range 10 {
		w.missed("Ship", w.commit("OrderCreated", fmt.Sprint("o-", n), 1, 2*time.Hour))
	}
	before := time.Now()
	if _, _, err := w.repair(t.Context(), func(r *Repair) { r.Rate = 20 }, "y\n"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < 450*time.Millisecond {
		t.Errorf("10 events at 20 a second took %s", took)
	}
}

// TestRepairDoesNotSendWhatSomebodyElseSends: the auditor may repair at the same time.
func TestRepairDoesNotSendWhatSomebodyElseSends(t *testing.T) {
	w := newWorld(t)
	w.missed("Ship", w.commit("OrderCreated", "o-1", 1, 2*time.Hour))
	meanwhile := answering{func() {
		list := audit.List{Client: db, Table: w.box.Audit.Table}
		for _, u := range listed(t, w.box.Audit.Table, w.consumer("Ship").Name) {
			if _, err := list.NoteRepair(t.Context(), u, time.Now()); err != nil {
				t.Error(err)
			}
		}
	}}
	_, _, err := w.repair(t.Context(), func(r *Repair) { r.Dialog = NewDialog(meanwhile, &strings.Builder{}, false, false) }, "")
	if err != nil || len(w.sent) != 0 {
		t.Errorf("got %v, sent %v", err, w.sent)
	}
}

// answering says yes, after something has happened.
type answering struct{ happens func() }

func (a answering) Read(p []byte) (int, error) {
	a.happens()
	return copy(p, "y\n"), nil
}

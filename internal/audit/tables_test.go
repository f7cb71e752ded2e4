package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func unconfirmed(id string, age time.Duration) Unconfirmed {
	now := time.UnixMilli(time.Now().UnixMilli())
	return Unconfirmed{
		Event: Event{
			ID: id, Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: "o-" + id, Version: 1,
			WrittenAt: now.Add(-age), SequenceNumber: "1",
		},
		Consumer: "shipping", Since: now, Checks: 1, NextCheckAt: now.Add(time.Minute), ExpiresAt: time.Unix(now.Unix()+3600, 0),
	}
}

func TestAListKeepsWhatIsMissing(t *testing.T) {
	l := List{Client: db, Table: newTable(t, "list", "pk", "sk")}
	ctx := t.Context()
	young, old, other := unconfirmed("young", time.Minute), unconfirmed("old", time.Hour), unconfirmed("other", time.Hour)
	other.Consumer = "billing"
	for _, u := range []Unconfirmed{young, old, other} {
		if err := l.Note(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want ...Unconfirmed) {
		t.Helper()
		var got []Unconfirmed
		for u, err := range l.Of(ctx, "shipping") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, u)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the list is %+v, want %+v", what, got, want)
		}
	}
	expect("the oldest first", old, young)

	again := old
	again.Since, again.Checks = old.Since.Add(time.Hour), 7
	if err := l.Note(ctx, again); err != nil {
		t.Fatal(err)
	}
	expect("an event that is there stays as it is", old, young)

	next := time.UnixMilli(time.Now().Add(2 * time.Hour).UnixMilli())
	if err := l.NoteCheck(ctx, old, next); err != nil {
		t.Fatal(err)
	}
	old.Checks, old.NextCheckAt = 2, next
	expect("a look in vain is noted", old, young)

	at := time.UnixMilli(time.Now().UnixMilli())
	for _, mine := range []bool{true, false} {
		if got, err := l.NoteRepair(ctx, old, at); err != nil || got != mine {
			t.Errorf("NoteRepair says %t (%v), want %t: of two, one is to repair", got, err, mine)
		}
	}
	if err := l.NoteCheck(ctx, old, next.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	old.Repairs, old.RepairedAt, old.NextCheckAt = 1, at, at.Add(time.Minute)
	expect("who has not seen the repair does not undo it, and the effect is looked for soon", old, young)

	page, place, err := l.Page(ctx, "shipping", "", 1)
	if err != nil || len(page) != 1 || page[0] != old || place == "" {
		t.Fatalf("the first page is %+v, next %q (%v)", page, place, err)
	}
	if page, _, err = l.Page(ctx, "shipping", place, 1); err != nil || len(page) != 1 || page[0] != young {
		t.Fatalf("the second page is %+v (%v)", page, err)
	}

	if err := l.Remove(ctx, old); err != nil {
		t.Fatal(err)
	}
	if err := l.NoteCheck(ctx, old, next); err != nil {
		t.Fatal(err)
	}
	expect("what has left the list does not come back by a look", young)

	want := Cursor{After: young.sortKey(), Counted: 3, Total: 5}
	if err := l.SetCursor(ctx, "shipping", want); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Cursor(ctx, db, "shipping"); err != nil || got != want {
		t.Errorf("the cursor is %+v (%v), want %+v", got, err, want)
	}
	expect("the cursor is not on the list", young)
}

// outboxItem returns the item of an event as a writer commits it.
func outboxItem(t *testing.T, id, kind string, version int64) Item {
	t.Helper()
	item, err := record.Event{
		ID: id, Type: kind, Source: "orders", AggregateType: "Order", AggregateID: "o-" + id, Version: version,
		OccurredAt: time.Now(), Data: json.RawMessage(`{}`),
	}.Item(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func consumerOf(t *testing.T, name, table, eventPattern string, ordered bool) *Consumer {
	t.Helper()
	p, err := pattern.Compile([]byte(eventPattern), pattern.Rules)
	if err != nil {
		t.Fatal(err)
	}
	return &Consumer{Consumer: description.Consumer{Name: name, InboxTable: table, Ordered: ordered}, pattern: p}
}

func TestFullAuditFindsWhatIsMissing(t *testing.T) {
	outboxTable, inbox := newTable(t, "full-outbox", "pk", "sk"), newTable(t, "full-inbox", "pk")
	all := consumerOf(t, "all", inbox, `{"source": ["orders"]}`, false)
	created := consumerOf(t, "created", inbox, `{"detail-type": ["OrderCreated"]}`, true)
	const events = 230 // more than two requests' keys
	var want []string
	for i := range events {
		id, kind := fmt.Sprintf("e%03d", i), "OrderCreated"
		if i%2 == 1 {
			kind = "OrderUpdated"
		}
		item := outboxItem(t, id, kind, 1)
		put(t, outboxTable, item)
		event, err := EventOf(item)
		if err != nil {
			t.Fatal(err)
		}
		receipt := Item{
			record.AttrSource: text("orders"), record.AttrAggregateType: text("Order"), record.AttrAggregateID: text(event.AggregateID),
			record.AttrVersion: number(1), record.AttrHandledAt: number(1), record.AttrEventID: text(id), "other": text("not read"),
		}
		for _, c := range []*Consumer{all, created} {
			if c == created && kind != "OrderCreated" {
				continue
			}
			if i%10 == 0 {
				want = append(want, c.Name+": "+id)
				continue
			}
			receipt[record.AttrPK] = text(Effect{Event: event, Consumer: c}.receiptKey())
			put(t, inbox, receipt)
		}
	}
	foreign := outboxItem(t, "f", "OrderCreated", 1)
	foreign[record.AttrSource] = text("billing")
	future := outboxItem(t, "later", "OrderCreated", 1)
	future[record.AttrWrittenAt] = number(time.Now().Add(time.Hour).UnixMilli())
	broken := outboxItem(t, "broken", "OrderCreated", 1)
	delete(broken, record.AttrData)
	put(t, outboxTable, foreign, future, broken, Item{record.AttrPK: text("order#1"), record.AttrSK: text("order")})

	full := Full{Tables: db, Table: outboxTable, Source: "orders", Consumers: Consumers{all, created}, To: time.Now().Add(time.Minute)}
	var got []string
	counts, err := full.Run(t.Context(), func(e Effect, v Verdict) error {
		if v.Confirmed || v.Reason == "" {
			t.Errorf("the verdict about a missing effect is %+v", v)
		}
		got = append(got, e.Consumer.Name+": "+e.Event.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("missing are %q, want %q", got, want)
	}
	wantCounts := []ConsumerCounts{{all, events, events - 23, 23}, {created, events / 2, events/2 - 23, 23}}
	if counts.Committed != events || counts.Outside != 1 || counts.Unread != 1 || !slices.Equal(counts.Consumers, wantCounts) || counts.Missing() != 46 {
		t.Errorf("counts are %+v", counts)
	}
	estimate, err := full.Estimate(t.Context())
	if err != nil || estimate.ReadUnits <= 0 || estimate.USD <= 0 {
		t.Errorf("the estimate is %+v (%v)", estimate, err)
	}
}

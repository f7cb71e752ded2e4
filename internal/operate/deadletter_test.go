package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// troubled are queues of the watched stack with something in each dead-letter queue.
func troubled() *fakeQueues {
	q := newFakeQueues()
	q.add(queueURLs+"pipe-dlq", `{"context":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"shard-1","startSequenceNumber":"10","endSequenceNumber":"12","batchSize":3}}`, nil)
	q.add(queueURLs+"rules-dlq", body("o-1", 1), notDelivered("ship"))
	q.add(queueURLs+"shared-dlq", body("o-2", 1), failedOf("Orders/Outbox/Ship", "ship", "no such address"))
	q.add(queueURLs+"shared-dlq", body("o-3", 1), failedOf("Orders/Outbox/Bill", "bill", "card declined"))
	moved := q.add(queueURLs+"history-dlq", body("o-4", 2), nil) // by SQS
	moved.Attributes["DeadLetterQueueSourceArn"] = queueARN("history")
	return q
}

func list(t *testing.T, q *fakeQueues, f DeadLetterFilter) *DeadLetterList {
	t.Helper()
	l, err := ListDeadLetters(t.Context(), Clients{SQS: q}, watched(), f, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// whoseAll returns for each message whose it is, its event and its reason.
func whoseAll(l *DeadLetterList) (all []string) {
	for _, m := range l.Messages {
		all = append(all, fmt.Sprintf("%s %s: %s", m.whose(), m.EventID, m.Reason))
	}
	slices.Sort(all)
	return all
}

func TestListDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := troubled()
		got := whoseAll(list(t, q, DeadLetterFilter{}))
		want := []string{
			"Bill o-3-1: card declined", "History o-4-2: it failed 5 times, and the function's log says why",
			"Ship o-2-1: no such address", "pipe : RetryAttemptsExhausted: 3 records of shard-1, 10 to 12",
			"rule: Ship o-1-1: NO_PERMISSIONS: access denied",
		}
		if !slices.Equal(got, want) {
			t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for url := range q.messages {
			if _, hidden := q.counts(url); hidden > 0 {
				t.Errorf("%d messages of %s are still hidden", hidden, queueName(url))
			}
		}
	})
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := troubled()
		time.Sleep(3 * time.Hour)
		q.add(queueURLs+"history-dlq", body("o-5", 1), failedOf("Orders/Outbox/History", "history", "New Trouble"))
		for name, tc := range map[string]struct {
			filter DeadLetterFilter
			want   int
		}{
			"a consumer, its rule's too":     {DeadLetterFilter{Consumer: "Ship"}, 2},
			"a consumer by name":             {DeadLetterFilter{Consumer: "Orders/Outbox/Bill"}, 1},
			"a type, and not the pipe's":     {DeadLetterFilter{Type: "OrderUpdated"}, 5},
			"another type":                   {DeadLetterFilter{Type: "Order"}, 0},
			"an aggregate":                   {DeadLetterFilter{Aggregate: "Order#o-3"}, 1},
			"an aggregate's id":              {DeadLetterFilter{Aggregate: "o-3"}, 1},
			"a reason, in any case":          {DeadLetterFilter{Reason: "new trouble"}, 1},
			"a reason of EventBridge's":      {DeadLetterFilter{Reason: "NO_PERM"}, 1},
			"a reason of a pipe's":           {DeadLetterFilter{Reason: "exhausted"}, 1},
			"older":                          {DeadLetterFilter{Older: time.Hour}, 5},
			"newer":                          {DeadLetterFilter{Newer: time.Hour}, 1},
			"older and newer":                {DeadLetterFilter{Older: 2 * time.Hour, Newer: 4 * time.Hour}, 5},
			"an event":                       {DeadLetterFilter{ID: "o-4-2"}, 1},
			"a message":                      {DeadLetterFilter{ID: "m-1"}, 1},
			"all that is given holds":        {DeadLetterFilter{Consumer: "Ship", Reason: "address"}, 1},
			"nothing for which all of it is": {DeadLetterFilter{Consumer: "Bill", Reason: "address"}, 0},
		} {
			if got := whoseAll(list(t, q, tc.filter)); len(got) != tc.want {
				t.Errorf("%s: found %d, want %d: %v", name, len(got), tc.want, got)
			}
		}
		if _, err := ListDeadLetters(t.Context(), Clients{SQS: q}, watched(), DeadLetterFilter{Consumer: "Shop"}, 10); err == nil || !strings.Contains(err.Error(), `one of Bill, History, Ship, got "Shop"`) {
			t.Errorf("an unknown consumer: got %v", err)
		}
	})
}

// TestALongQueueIsSaid: what was not looked at is not taken for nothing.
func TestALongQueueIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueues()
		for n := range 45 {
			q.add(queueURLs+"history-dlq", body("o-1", n+1), nil)
		}
		l, err := ListDeadLetters(t.Context(), Clients{SQS: q}, watched(), DeadLetterFilter{Consumer: "History"}, 20)
		if err != nil || len(l.Messages) != 20 {
			t.Fatalf("found %d (%v), want 20", len(l.Messages), err)
		}
		var out strings.Builder
		l.Print(&out)
		if !strings.Contains(out.String(), "looked at 20 of about 45") {
			t.Errorf("it said %q", out.String())
		}
		if visible, _ := q.counts(queueURLs + "history-dlq"); visible != 45 {
			t.Errorf("%d of 45 are visible", visible)
		}
	})
}

// TestWhatIsShownDoesNotCommandTheTerminal: reasons, ids and payloads are of others.
func TestWhatIsShownDoesNotCommandTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueues()
		q.add(queueURLs+"shared-dlq", body("o-2", 1), failedOf("Orders/Outbox/Ship", "ship", "bad\x1b[2J\nrow"))
		q.add(queueURLs+"shared-dlq", "no\x1b]0;json", failedOf("Orders/Outbox/Ship", "ship", "x"))
		var out strings.Builder
		l := list(t, q, DeadLetterFilter{})
		l.Print(&out)
		l.Advise(&out, CommandLine{}, DeadLetterFilter{})
		for _, id := range []string{"o-2-1", "m-2"} {
			shown, err := ShowDeadLetters(t.Context(), Clients{SQS: q}, watched(), id, 100)
			if err != nil || len(shown) != 1 {
				t.Fatalf("%s: found %d (%v)", id, len(shown), err)
			}
			shown[0].Print(&out)
			if err := PrintJSON(&out, shown); err != nil {
				t.Fatal(err)
			}
		}
		if strings.ContainsAny(out.String(), "\x1b\x07") {
			t.Errorf("an escape reaches the terminal: %q", out.String())
		}
		for _, want := range []string{`bad\x1b[2J\nrow`, `"note": "a\u001bb"`, `no\u001b]0;json`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("it does not show %s:\n%s", want, out.String())
			}
		}
		if _, err := ShowDeadLetters(t.Context(), Clients{SQS: q}, watched(), "o-9", 100); err == nil || !strings.Contains(err.Error(), `"o-9"`) {
			t.Errorf("an id that is nowhere: got %v", err)
		}
	})
}

// dialog answers with the text, and notes what it was told.
func dialog(answer string) (*Dialog, *strings.Builder) {
	var notes strings.Builder
	return NewDialog(strings.NewReader(answer), &notes, false, false), &notes
}

func TestRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := troubled()
		d, notes := dialog("y\n")
		results, err := DeadLetterRedrive{Filter: DeadLetterFilter{Older: 0, Type: "OrderUpdated"}}.Run(t.Context(), Clients{SQS: q}, watched(), d)
		if err != nil {
			t.Fatal(err)
		}
		if got := []string{fmt.Sprint(q.events("ship")), fmt.Sprint(q.events("bill")), fmt.Sprint(q.events("history"))}; !slices.Equal(got, []string{"[o-1-1 o-2-1]", "[o-3-1]", "[o-4-2]"}) {
			t.Errorf("ship, bill and history got %v", got)
		}
		if len(results) != 4 {
			t.Errorf("results are %+v, want those of rules, Bill, Ship and History", results)
		}
		for _, want := range []string{"Ship: about 1 message to queue ship", "History: about 1 message to queue history, in the order of their versions", "pipe's dead-letter messages", "Redrive them? [y/N]"} {
			if !strings.Contains(notes.String(), want) {
				t.Errorf("it did not say %q but\n%s", want, notes)
			}
		}
	})
}

// TestRedriveOfASharedQueueTouchesOneConsumer: the other's messages stay as they are.
func TestRedriveOfASharedQueueTouchesOneConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := troubled()
		d, _ := dialog("y\n")
		if _, err := (DeadLetterRedrive{Filter: DeadLetterFilter{Consumer: "Bill"}}).Run(t.Context(), Clients{SQS: q}, watched(), d); err != nil {
			t.Fatal(err)
		}
		if got := q.events("bill"); !slices.Equal(got, []string{"o-3-1"}) {
			t.Errorf("bill got %v", got)
		}
		if got := q.events("shared-dlq"); !slices.Equal(got, []string{"o-2-1"}) {
			t.Errorf("the shared queue has %v, want Ship's", got)
		}
		if len(q.events("ship")) != 0 {
			t.Error("Ship got a message that nobody asked for")
		}
	})
}

func TestNothingWithoutAYes(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		dryRun bool
	}{"no": {"n\n", false}, "no answer": {"", false}, "dry run": {"y\n", true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, save := troubled(), filepath.Join(t.TempDir(), "copies")
				d, _ := dialog(tc.answer)
				_, redriveErr := DeadLetterRedrive{DryRun: tc.dryRun}.Run(t.Context(), Clients{SQS: q}, watched(), d)
				d, _ = dialog(tc.answer)
				_, discardErr := DeadLetterDiscard{DryRun: tc.dryRun, Save: save}.Run(t.Context(), Clients{SQS: q}, watched(), d)
				if tc.dryRun != (redriveErr == nil) || tc.dryRun != (discardErr == nil) {
					t.Errorf("the errors are %v and %v", redriveErr, discardErr)
				}
				if got := whoseAll(list(t, q, DeadLetterFilter{})); len(got) != 5 || len(q.events("ship")) != 0 {
					t.Errorf("left are %v, want all", got)
				}
				if _, err := os.Stat(save); err == nil {
					t.Error("there is a file of copies")
				}
			})
		})
	}
}

// TestRedriveIsKilledAndGoesOn: ordered, 300 messages, interrupted in the middle.
func TestRedriveIsKilledAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueues()
		for _, n := range rand.Perm(300) {
			q.add(queueURLs+"history-dlq", body("o-1", n+1), failedOf("Orders/Outbox/History", "history", "x"))
		}
		ctx, interrupt := context.WithCancel(t.Context())
		n := 0
		q.onSend = func() {
			if n++; n == 100 {
				interrupt()
			}
		}
		d, _ := dialog("y\n")
		_, err := DeadLetterRedrive{}.Run(ctx, Clients{SQS: q}, watched(), d)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "run it again") {
			t.Fatalf("got %v, want an interruption, and what to do", err)
		}
		d, _ = dialog("y\n")
		if _, err := (DeadLetterRedrive{}).Run(t.Context(), Clients{SQS: q}, watched(), d); err != nil {
			t.Fatal(err)
		}
		var want []string
		for n := range 300 {
			want = append(want, fmt.Sprint("o-1-", n+1))
		}
		if got := q.events("history"); !slices.Equal(got, want) {
			t.Errorf("history got %d messages, want versions 1 to 300 in order: %v", len(got), got)
		}
	})
}

// TestAMessageOfAForgottenEventIsKept, unless somebody says that it had no effect.
func TestAMessageOfAForgottenEventIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := troubled()
		time.Sleep(9 * 24 * time.Hour) // the memory is 10 days, the queue keeps a message for 4
		run := func(forgotten bool) error {
			d, _ := dialog("y\n")
			_, err := DeadLetterRedrive{Filter: DeadLetterFilter{Consumer: "Bill"}, Forgotten: forgotten}.Run(t.Context(), Clients{SQS: q}, watched(), d)
			return err
		}
		if err := run(false); err == nil || !strings.Contains(err.Error(), "if it took effect before, it would again") || len(q.events("bill")) != 0 {
			t.Errorf("got %v, and bill got %v", err, q.events("bill"))
		}
		if err := run(true); err != nil || len(q.events("bill")) != 1 {
			t.Errorf("with --forgotten: got %v, and bill got %v", err, q.events("bill"))
		}
	})
}

func TestDiscardKeepsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, save := troubled(), filepath.Join(t.TempDir(), "copies.jsonl")
		d, notes := dialog("y\n")
		results, err := DeadLetterDiscard{Filter: DeadLetterFilter{Consumer: "Ship"}, Save: save}.Run(t.Context(), Clients{SQS: q}, watched(), d)
		if err != nil || len(results) != 2 {
			t.Fatalf("results are %+v (%v), want those of the rules and of Ship", results, err)
		}
		for _, want := range []string{"no effect any more", "outbox replay", save} {
			if !strings.Contains(notes.String(), want) {
				t.Errorf("it did not say %q but\n%s", want, notes)
			}
		}
		if got := list(t, q, DeadLetterFilter{}); len(got.Messages) != 3 {
			t.Errorf("left are %v, want those of others", whoseAll(got))
		}
		text, err := os.ReadFile(save)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for line := range strings.Lines(string(text)) {
			var m DiscardedMessage
			if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.Contains(m.Body, m.EventID) || m.Reason == "" {
				t.Fatalf("a copy is %s (%v)", line, err)
			}
			ids = append(ids, m.EventID)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{"o-1-1", "o-2-1"}) {
			t.Errorf("copies are of %v", ids)
		}
		if info, _ := os.Stat(save); info.Mode().Perm() != 0o600 {
			t.Errorf("others may read the copies: %s", info.Mode())
		}
	})
}

// TestNothingIsDiscardedWithoutItsCopy: the disk is full, or the folder is not there.
func TestNothingIsDiscardedWithoutItsCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, save := range []string{filepath.Join(t.TempDir(), "no", "folder"), "/dev/full"} {
			if _, err := os.Stat(save); save == "/dev/full" && err != nil {
				continue // only Linux has it
			}
			q := troubled()
			d, _ := dialog("y\n")
			_, err := DeadLetterDiscard{Save: save}.Run(t.Context(), Clients{SQS: q}, watched(), d)
			if err == nil || len(list(t, q, DeadLetterFilter{}).Messages) != 5 {
				t.Errorf("%s: got %v, and left are %v, want all", save, err, whoseAll(list(t, q, DeadLetterFilter{})))
			}
		}
	})
}

func TestProgressSaysHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for live, want := range map[bool]string{false: "500 of about 1000 done, 10s left\n1000 of about 1000 done, in 20s\n", true: "\r\x1b[K500 of about 1000 done, 10s left\r\x1b[K1000 of about 1000 done, in 20s\n"} {
			var notes strings.Builder
			p := NewDialog(strings.NewReader(""), &notes, true, live).Begin("done", 1000)
			p.At(1) // too soon
			time.Sleep(10 * time.Second)
			p.At(500)
			time.Sleep(10 * time.Second)
			p.End(1000)
			if notes.String() != want {
				t.Errorf("it said %q, want %q", notes.String(), want)
			}
		}
	})
}

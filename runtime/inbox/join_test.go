package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest/draw"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// joined is an ordered consumer whose queue was created a minute after the first versions of an order were
// written, and a minute before the rest.
func joined(t *testing.T, before, after int) (*fixture, inbox.LambdaHandler) {
	t.Helper()
	f := newFixture()
	if before > 0 {
		f.write(t, "o1", 1, before)
	}
	time.Sleep(time.Minute)
	f.queues.created = time.Now()
	time.Sleep(time.Minute)
	f.write(t, "o1", before+1, before+after)
	return f, inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
}

func event(version int) events.SQSMessage { return message("e"+strconv.Itoa(version), "o1", version) }

func TestInOrderBeginsWithTheFirstEventAfterJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, handler := joined(t, 7, 2)
		expect(t, "failures", deliver(t.Context(), t, handler, event(8)), []string{})
		expect(t, "failures", deliver(t.Context(), t, handler, event(9)), []string{})
		expect(t, "effects", f.effects(), []int{8, 9})
		expect(t, "dead letters", len(f.queues.sent), 0)
	})
}

func TestInOrderWaitsForTheFirstEventAfterJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, handler := joined(t, 7, 2)
		expect(t, "failures of 9", deliver(t.Context(), t, handler, event(9)), []string{"m-e9"})
		expect(t, "failures of 8", deliver(t.Context(), t, handler, event(8)), []string{})
		expect(t, "failures of 9", deliver(t.Context(), t, handler, event(9)), []string{})
		expect(t, "effects", f.effects(), []int{8, 9})
		expect(t, "outcome of 9", f.outcomes(t)["m-e9"], "handled")
	})
}

func TestInOrderSkipsWhatWasWrittenBeforeJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, handler := joined(t, 7, 2)
		for _, version := range []int{6, 8, 7, 8, 9} {
			expect(t, "failures", deliver(t.Context(), t, handler, event(version)), []string{})
		}
		expect(t, "effects", f.effects(), []int{8, 9})
		expect(t, "outcome of 6", f.outcomes(t)["m-e6"], "skipped")
		expect(t, "outcome of 7", f.outcomes(t)["m-e7"], "skipped")
		expect(t, "outcome of 8", f.outcomes(t)["m-e8"], "duplicate")
		expect(t, "dead letters", len(f.queues.sent), 0)
	})
}

// Where there was an outbox only later, or the predecessor has expired, no item tells of it.
func TestInOrderBeginsWhereNoPredecessorIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.write(t, "o1", 8, 9)
		handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
		expect(t, "failures of 9", deliver(t.Context(), t, handler, event(9)), []string{"m-e9"})
		expect(t, "failures of 8", deliver(t.Context(), t, handler, event(8), event(9)), []string{})
		expect(t, "effects", f.effects(), []int{8, 9})
	})
}

// The time that counts is that of the write: an application may tell of what happened long ago.
func TestInOrderGoesByTheTimeOfTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		tx := outbox.New(f.DB, outbox.Config{Table: outboxTable, Source: "orders"}).Begin(t.Context())
		for version := int64(1); version <= 2; version++ {
			tx.Append(outbox.Event{
				ID: fmt.Sprint("e", version), Type: "OrderCreated", AggregateType: "Order", AggregateID: "o1", Version: version,
				OccurredAt: time.Now().AddDate(-2, 0, 0),
			})
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
		for _, version := range []int{2, 1, 2} {
			deliver(t.Context(), t, handler, event(version))
		}
		expect(t, "effects", f.effects(), []int{1, 2})
	})
}

// The first event keeps its place when it fails, however long it takes to fix: the next one does not take it.
func TestInOrderFirstEventThatFailsKeepsItsPlace(t *testing.T) {
	for name, before := range map[string]int{"after joining": 7, "from version 1": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, _ := joined(t, before, 2)
				broken := true
				handler := inbox.Handler(f.store(t, f.DB), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
					if broken {
						return inbox.Permanent(errTest)
					}
					return ship(ctx, tx, event)
				}, inbox.InOrder())
				first, second := event(before+1), event(before+2)
				deliver(t.Context(), t, handler, first)
				expect(t, "dead letters", len(f.queues.sent), 1)
				broken = false
				for range 3 {
					expect(t, "failures of the second", len(deliver(t.Context(), t, handler, second)), 1)
					time.Sleep(inbox.DefaultGapTimeout)
				}
				expect(t, "failures of the redriven first", deliver(t.Context(), t, handler, first), []string{})
				expect(t, "failures of the second", deliver(t.Context(), t, handler, second), []string{})
				expect(t, "effects", f.effects(), []int{before + 1, before + 2})
			})
		})
	}
}

// What was written for certain after the rule became active is on its way, however long it takes.
func TestInOrderDoesNotBeginWithoutWhatMustCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder(), inbox.GapTimeout(time.Minute))
		deliver(t.Context(), t, handler, message("e1", "o0", 1))
		time.Sleep(time.Hour)
		f.write(t, "o1", 1, 2)
		second := event(2)
		time.Sleep(2 * time.Minute)
		expect(t, "failures", deliver(t.Context(), t, handler, second), []string{})
		expect(t, "outcome", f.outcomes(t)["m-e2"], "permanent")
		expect(t, "failures", deliver(t.Context(), t, handler, event(1), event(2)), []string{}) // redriven
		expect(t, "effects", f.effects(), []int{1, 1, 2})
	})
}

// An event that was written while the consumer joined may never come; one that comes after all is not
// dropped without a word.
func TestInOrderGoesOnWithoutWhatMayNeverCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, handler := joined(t, 7, 3) // the rule became active after 8
		ninth, tenth := event(9), event(10)
		expect(t, "failures", deliver(t.Context(), t, handler, ninth, tenth), []string{"m-e9", "m-e10"})
		time.Sleep(inbox.DefaultGapTimeout)
		expect(t, "failures of 10", deliver(t.Context(), t, handler, tenth), []string{"m-e10"})
		expect(t, "failures of 9", deliver(t.Context(), t, handler, ninth), []string{})
		expect(t, "failures of 10", deliver(t.Context(), t, handler, tenth), []string{})
		expect(t, "effects", f.effects(), []int{9, 10})
		expect(t, "failures of 8", deliver(t.Context(), t, handler, event(8)), []string{})
		expect(t, "dead letters", len(f.queues.sent), 1)
		reason := aws.ToString(f.queues.sent[0].MessageAttributes[inbox.ReasonAttribute].StringValue)
		if !strings.Contains(reason, `version 8 of Order "o1" came after the consumer had begun with version 9`) {
			t.Errorf("reason is %q", reason)
		}
	})
}

// What a rule missed that was just made may be more than one piece. A late event of any of them is refused with the reason,
// and those in between are duplicates.
func TestInOrderRemembersEveryGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, handler := joined(t, 5, 5)
		for _, next := range []int{7, 9} { // 6 and 8 passed before the rule was active
			expect(t, "failures at first", deliver(t.Context(), t, handler, event(next)), []string{"m-e" + strconv.Itoa(next)})
			time.Sleep(inbox.DefaultGapTimeout)
			expect(t, "failures after the gap timeout", deliver(t.Context(), t, handler, event(next)), []string{})
		}
		expect(t, "failures of the rest", deliver(t.Context(), t, handler, event(6), event(7), event(8), event(9), event(10)), []string{})
		expect(t, "effects", f.effects(), []int{7, 9, 10})
		expect(t, "dead letters", len(f.queues.sent), 2)
		for _, late := range []string{"version 6", "version 8"} {
			if !slices.ContainsFunc(f.queues.sent, func(m *sqs.SendMessageInput) bool {
				return strings.Contains(aws.ToString(m.MessageAttributes[inbox.ReasonAttribute].StringValue), late)
			}) {
				t.Errorf("no dead-letter message about %s", late)
			}
		}
	})
}

// A construct that moves has two queues for a while. What the old one still holds is waited for, and an invocation with
// the old queue does not undo the new join.
func TestInOrderJoinsAgainWithoutSkippingWhatTheOldQueueHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		created := time.Now()
		withQueueOf := func(at time.Time) inbox.LambdaHandler { // a cold start
			f.queues.created = at
			return inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
		}
		f.write(t, "o1", 1, 1)
		expect(t, "failures of 1", deliver(t.Context(), t, withQueueOf(created), event(1)), []string{})
		f.write(t, "o1", 2, 2) // into the old queue
		time.Sleep(time.Hour)
		moved := time.Now()
		f.write(t, "o1", 3, 3) // into both
		expect(t, "failures of 3", deliver(t.Context(), t, withQueueOf(moved), event(3)), []string{"m-e3"})
		certain := join(f)["certainAt"]
		expect(t, "failures of 2", deliver(t.Context(), t, withQueueOf(created), event(2), message("e9", "o2", 9)), []string{"m-e9"})
		expect(t, "the join", join(f), map[string]string{
			"pk": "join#shipping", "joinedAt": millis(created), "queueAt": millis(moved), "certainAt": certain,
		})
		expect(t, "failures of 3", deliver(t.Context(), t, withQueueOf(moved), event(3)), []string{})
		expect(t, "effects", f.effects(), []int{1, 2, 3})
	})
}

// join returns what the inbox has noted about joining.
func join(f *fixture) map[string]string {
	found := map[string]string{}
	for _, item := range f.Items(inboxTable) {
		if stringOf(item, "pk") != "join#shipping" {
			continue
		}
		for name := range item {
			found[name] = stringOf(item, name)
		}
	}
	return found
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func TestInOrderFromFirstVersionInsistsOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := joined(t, 2, 1)
		handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder(), inbox.FromFirstVersion())
		expect(t, "failures of 3", deliver(t.Context(), t, handler, event(3)), []string{"m-e3"})
		expect(t, "failures of the replay", deliver(t.Context(), t, handler, event(2), event(1), event(3)), []string{})
		expect(t, "effects", f.effects(), []int{1, 2, 3})
	})
}

func TestInOrderSaysWhatKeepsItFromJoining(t *testing.T) {
	f := newFixture()
	f.queues.err = errors.New("access denied")
	f.write(t, "o1", 8, 8)
	handler := inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder())
	expect(t, "failures", deliver(t.Context(), t, handler, event(8)), []string{"m-e8"})
	for _, line := range f.logs.lines(t) {
		if text, _ := line["error"].(string); !strings.Contains(text, "find out when the consumer joined: access denied") {
			t.Errorf("logged %v", line)
		}
	}
}

// effects are the versions of the events e1, e2 … that took effect, in the order in which they did: ship
// appends one event about each.
func (f *fixture) effects() []int {
	var versions []int
	for _, tx := range f.Committed() {
		for _, action := range tx.TransactItems {
			if action.Put == nil {
				continue
			}
			if cause := stringOf(action.Put.Item, "causationId"); cause != "" {
				version, _ := strconv.Atoi(strings.TrimPrefix(cause, "e"))
				versions = append(versions, version)
			}
		}
	}
	return versions
}

// arrivals is one way in which a consumer may join, and the events of an aggregate arrive.
type arrivals struct {
	earlier int             // so many reached the consumer in an earlier queue, which was deleted then
	before  int             // so many were written before the queue was created
	missed  map[int]bool    // these, written before the rule was active, passed the bus before it was
	active  int             // so many were written before the rule was active
	delays  []time.Duration // of each version's message
	expired bool            // what was written first while the consumer was away, all of it missed, is no longer in the outbox table
	another bool            // another aggregate's event comes first
	faults  []func() dynamotest.Fault
}

// A short wait takes few receives, and the same decisions.
const (
	longestDelay = 120 // seconds
	gapTimeout   = 3 * time.Minute
)

func drawArrivals(t *rapid.T) arrivals {
	const most = 6
	n := rapid.IntRange(1, most).Draw(t, "versions")
	a := arrivals{active: rapid.IntRange(0, n).Draw(t, "written before the rule was active"), missed: map[int]bool{}}
	a.before = rapid.IntRange(0, a.active).Draw(t, "written before the queue was created")
	a.earlier = rapid.IntRange(0, a.before).Draw(t, "handled from an earlier queue")
	a.expired = a.earlier > 0 && rapid.Bool().Draw(t, "what was missed first has expired")
	for version := 1; version <= n; version++ {
		if version <= a.active {
			a.missed[version] = rapid.Bool().Draw(t, fmt.Sprintf("version %d is missed", version))
		}
		a.delays = append(a.delays, time.Duration(rapid.IntRange(0, longestDelay).Draw(t, fmt.Sprintf("delay of version %d", version)))*time.Second)
	}
	a.another = rapid.Bool().Draw(t, "another aggregate comes first")
	for range rapid.IntRange(0, 6).Draw(t, "invocations with faults") {
		a.faults = append(a.faults, draw.Faults(t, "faults"))
	}
	return a
}

// In whatever order the first events arrive: all that reach the consumer and were written after it joined
// have one effect each, in their order; of those before it at most the first versions have.
func TestJoiningDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := drawArrivals(rt)
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = a.run(t) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// Every order of arrival of four events, for every moment of joining.
func TestJoiningInEveryOrderOfArrival(t *testing.T) {
	const n = 4
	for before := range n + 1 {
		for missed := range 1 << before {
			for _, order := range permutations(n) {
				arrivalsOf(0, before, missed, order).check(t)
			}
		}
	}
}

// The same for a consumer that is removed, and added again under its name with a new queue, after it has handled some events:
// nothing that it gets goes to the dead-letter queue, and nothing is skipped.
func TestJoiningAgainInEveryOrderOfArrival(t *testing.T) {
	const n = 4
	for earlier := 1; earlier <= n; earlier++ {
		for before := earlier; before <= n; before++ {
			for missed := range 1 << (before - earlier) {
				for _, order := range permutations(n) {
					a := arrivalsOf(earlier, before, missed<<earlier, order)
					a.check(t)
					a.expired = true
					a.check(t)
				}
			}
		}
	}
}

func arrivalsOf(earlier, before, missed int, order []int) arrivals {
	a := arrivals{earlier: earlier, before: before, active: before, missed: map[int]bool{}}
	for i, place := range order {
		a.missed[i+1] = missed&(1<<i) != 0
		a.delays = append(a.delays, time.Duration(place)*longestDelay/time.Duration(len(order))*time.Second)
	}
	return a
}

func (a arrivals) check(t *testing.T) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if problem := a.run(t); problem != "" {
			t.Errorf("%+v: %s", a, problem)
		}
	})
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n))
		}
	}
	return all
}

// run writes the events, lets them arrive, and returns what is wrong with their effects.
func (a arrivals) run(t *testing.T) string {
	f := newFixture()
	var queue []*waiting
	for i, delay := range a.delays {
		version := i + 1
		if version == a.before+1 {
			time.Sleep(time.Second)
			f.queues.created = time.Now()
		}
		f.write(t, "o1", version, version)
		time.Sleep(5 * time.Second)
		switch {
		case version <= a.earlier:
			deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder()), event(version))
			if version == a.earlier {
				time.Sleep(time.Hour)
			}
		case a.missed[version]:
			if a.expired && len(queue) == 0 { // nothing older is on its way
				f.forget("Order#o1", "event#e"+strconv.Itoa(version))
			}
		default:
			queue = append(queue, &waiting{version: version, visible: time.Now().Add(delay)})
		}
	}
	if a.before == len(a.delays) {
		time.Sleep(time.Second)
		f.queues.created = time.Now()
	}
	// Nothing passes the rule before it is active.
	for _, w := range queue {
		w.visible = w.visible.Add(time.Minute)
	}
	if a.another {
		time.Sleep(time.Minute)
		deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder()), message("e0", "o0", 1))
	}
	for tries := 0; len(queue) > 0; tries++ {
		if tries > 500 {
			return fmt.Sprintf("%d messages are left, effects %v", len(queue), f.effects())
		}
		next := slices.MinFunc(queue, func(x, y *waiting) int { return x.visible.Compare(y.visible) })
		time.Sleep(time.Until(next.visible))
		if a.receive(t, f, next) {
			queue = slices.DeleteFunc(queue, func(w *waiting) bool { return w == next })
		}
	}
	return a.judge(f)
}

// waiting is a message in the queue.
type waiting struct {
	version  int
	visible  time.Time
	received *events.SQSMessage // since the first time
	times    int
}

// receive delivers a message and reports whether that was the last time.
func (a *arrivals) receive(t *testing.T, f *fixture, w *waiting) bool {
	if w.received == nil {
		m := event(w.version)
		w.received = &m
	}
	w.times++
	w.received.Attributes["ApproximateReceiveCount"] = strconv.Itoa(w.times)
	fault := func() dynamotest.Fault { return dynamotest.None }
	if len(a.faults) > 0 {
		fault, a.faults = a.faults[0], a.faults[1:]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn := f.Connect(fault, cancel)
	f.queues.changed = nil
	failures := deliver(ctx, t, inbox.Handler(f.store(t, conn), ship, inbox.InOrder(), inbox.GapTimeout(gapTimeout)), *w.received)
	if len(failures) == 0 && !conn.Crashed() {
		return true
	}
	w.visible = time.Now().Add(30 * time.Second)
	if len(f.queues.changed) > 0 {
		w.visible = time.Now().Add(time.Duration(f.queues.changed[0].VisibilityTimeout) * time.Second)
	}
	return false
}

// judge compares the effects that were committed with the events that arrived.
func (a arrivals) judge(f *fixture) string {
	if n := len(f.queues.sent); n > 0 {
		return fmt.Sprintf("%d dead letters, %s", n, aws.ToString(f.queues.sent[0].MessageAttributes[inbox.ReasonAttribute].StringValue))
	}
	var early, got, want []int
	for _, version := range f.effects() {
		switch {
		case version == 0: // the other aggregate's
		case a.earlier == 0 && version <= a.before:
			early = append(early, version)
		default:
			got = append(got, version)
		}
	}
	first := a.before + 1
	if a.earlier > 0 {
		first = 1 // it has listened from the beginning
	}
	for version := first; version <= len(a.delays); version++ {
		if version <= a.earlier || !a.missed[version] {
			want = append(want, version)
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("effects of %v in this order, want %v; before: %v", got, want, early)
	}
	for i, version := range early {
		if version != i+1 {
			return fmt.Sprintf("effects of %v before joining, want the first versions or none", early)
		}
	}
	return ""
}

package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest/draw"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// schedule is one run of writers, a queue and a consumer, with everything that goes wrong drawn before.
type schedule struct {
	events      []string                  // the aggregate of each event that a writer tries to commit
	writeFaults []func() dynamotest.Fault // of each of them
	rounds      []round
	options     []inbox.Option
	inOrder     bool
}

// round is one set of invocations that run at the same time.
type round struct {
	batches [][]int // indices into the queue, taken modulo its length: overlapping ones are duplicates
	faults  []func() dynamotest.Fault
}

func drawSchedule(t *rapid.T) schedule {
	s := schedule{
		events:  rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 6).Draw(t, "events"),
		inOrder: rapid.Bool().Draw(t, "in order"),
	}
	for range s.events {
		s.writeFaults = append(s.writeFaults, draw.Faults(t, "faults of a write"))
	}
	for range rapid.IntRange(0, 4).Draw(t, "rounds") {
		var r round
		for range rapid.IntRange(1, 3).Draw(t, "invocations") {
			r.batches = append(r.batches, rapid.SliceOfN(rapid.IntRange(0, 11), 1, 4).Draw(t, "batch"))
			r.faults = append(r.faults, draw.Faults(t, "faults of an invocation"))
		}
		s.rounds = append(s.rounds, r)
	}
	if s.inOrder {
		s.options = append(s.options, inbox.InOrder(), inbox.GapTimeout(24*time.Hour))
	}
	if rapid.Bool().Draw(t, "read first") {
		s.options = append(s.options, inbox.ReadFirst())
	}
	return s
}

// Whatever goes wrong, in whatever order: after the faults are over and the queue is empty, the effects
// are those of the committed events, each once, and with InOrder in the order of the versions.
func TestEffectsAreThoseOfTheCommittedEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt)
		f := newFixture()
		var problem string
		synctest.Test(t, func(t *testing.T) {
			f.queues.created = time.Now()
			s.write(t, f.DB)
			queue := pipe(t, f.DB)
			for _, r := range s.rounds {
				queue = s.deliver(t, f, queue, r)
			}
			for tries := 0; len(queue) > 0; tries++ {
				if tries > 10 {
					problem = fmt.Sprintf("%d messages left after %d rounds without faults", len(queue), tries)
					return
				}
				queue = s.deliver(t, f, queue, everything(len(queue)))
			}
			problem = judge(f.DB, s.inOrder)
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// write commits the events, as far as the faults let it.
func (s schedule) write(t *testing.T, db *dynamotest.DB) {
	for i, aggregate := range s.events {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		o := outbox.New(db.Connect(s.writeFaults[i], cancel), outbox.Config{Table: outboxTable, Source: "orders"})
		tx := o.Begin(ctx)
		tx.AppendNext(outbox.Event{Type: "OrderUpdated", AggregateType: "Order", AggregateID: aggregate, Data: i, ID: fmt.Sprintf("e%d", i)})
		_ = tx.Commit(ctx) // what was committed is read from the table
		cancel()
	}
}

// pipe is the queue after the pipe, the bus and the rule have done their work on the outbox table.
func pipe(t *testing.T, db *dynamotest.DB) []events.SQSMessage {
	var queue []events.SQSMessage
	for _, item := range orderEvents(db) {
		m := message(stringOf(item, "id"), stringOf(item, "aggregateId"), 1)
		m.Body = encode(t, item)
		queue = append(queue, m)
	}
	return queue
}

// encode returns the message that becomes of an outbox item.
func encode(t *testing.T, item dynamotest.Item) string {
	envelope, err := record.Encode(item)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// orderEvents are the items of the committed events that the consumer gets, without its own.
func orderEvents(db *dynamotest.DB) []dynamotest.Item {
	return slices.DeleteFunc(db.Items(outboxTable), func(item dynamotest.Item) bool {
		return stringOf(item, "type") != "OrderUpdated"
	})
}

// everything is a round without faults of one invocation that gets every message.
func everything(n int) round {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return round{batches: [][]int{all}, faults: []func() dynamotest.Fault{func() dynamotest.Fault { return dynamotest.None }}}
}

// deliver runs a round and returns what is left in the queue: a message is gone when an invocation that
// did not crash has handled it, or called it a duplicate.
func (s schedule) deliver(t *testing.T, f *fixture, queue []events.SQSMessage, r round) []events.SQSMessage {
	var running sync.WaitGroup
	var mu sync.Mutex
	gone := map[string]bool{}
	for i, indices := range r.batches {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			conn := f.Connect(r.faults[i], cancel)
			var batch events.SQSEvent
			for _, index := range indices {
				if len(queue) > 0 {
					batch.Records = append(batch.Records, queue[index%len(queue)])
				}
			}
			response, err := inbox.Handler(f.store(t, conn), ship, s.options...)(ctx, batch)
			if conn.Crashed() || err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, m := range batch.Records {
				if !slices.Contains(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId}) {
					gone[m.MessageId] = true
				}
			}
		})
	}
	running.Wait()
	return slices.DeleteFunc(slices.Clone(queue), func(m events.SQSMessage) bool { return gone[m.MessageId] })
}

// judge compares the effects with the committed events.
func judge(db *dynamotest.DB, inOrder bool) string {
	committed := map[string]dynamotest.Item{}
	for _, item := range orderEvents(db) {
		committed[stringOf(item, "id")] = item
	}
	// ship puts one shipment, and appends one event whose cause is the event shipped.
	var effects []string
	for _, tx := range db.Committed() {
		for _, action := range tx.TransactItems {
			if cause := stringOf(action.Put.Item, "causationId"); cause != "" {
				effects = append(effects, cause)
			}
		}
	}
	if n := len(db.Items(shipments)); n != len(committed) {
		return fmt.Sprintf("%d shipments of %d committed events", n, len(committed))
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(effects))); len(sorted) != len(effects) || len(effects) != len(committed) {
		return fmt.Sprintf("effects %v of %d committed events", effects, len(committed))
	}
	last := map[string]int{}
	for _, id := range effects {
		event, ok := committed[id]
		if !ok {
			return fmt.Sprintf("an effect of %s, which was not committed", id)
		}
		aggregate := stringOf(event, "aggregateId")
		version, _ := strconv.Atoi(stringOf(event, "version"))
		if inOrder && version != last[aggregate]+1 {
			return fmt.Sprintf("version %d of %s took effect after version %d", version, aggregate, last[aggregate])
		}
		last[aggregate] = version
	}
	return ""
}

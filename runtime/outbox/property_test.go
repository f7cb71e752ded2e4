package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest/draw"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// write is one transaction of a schedule: it adds one to a count that all share, puts an order of its own
// and tells about it.
type write struct {
	id        string
	aggregate string
	faults    func() dynamotest.Fault
	again     int // how often an unknown outcome is asked after

	err     error
	crashed bool
}

// run commits the write over a connection with faults.
func (w *write) run(ctx context.Context, db *dynamotest.DB) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn := db.Connect(w.faults, cancel)
	tx := outbox.New(conn, config).Begin(ctx)
	tx.Update(types.Update{
		TableName:                 aws.String(ordersTable),
		Key:                       dynamotest.Item{"orderId": s("count")},
		UpdateExpression:          aws.String("SET n = n + :one"),
		ExpressionAttributeValues: dynamotest.Item{":one": n("1")},
	})
	tx.Put(order(w.id))
	tx.AppendNext(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: w.aggregate, Data: w.id, ID: w.id})
	w.err = tx.Commit(ctx)
	for range w.again {
		if !errors.Is(w.err, outbox.ErrUnknownOutcome) || conn.Crashed() {
			break
		}
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		w.err = tx.Commit(again)
		cancel()
	}
	w.crashed = conn.Crashed()
}

// Whatever goes wrong, in whatever order: a write and its event are there both or not at all, once, what
// was reported as written is there, what was reported as failed is not, and versions have no gap.
func TestTransactionsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		writes := make([]*write, rapid.IntRange(1, 12).Draw(rt, "writes"))
		for i := range writes {
			writes[i] = &write{
				id:        fmt.Sprintf("w%02d", i),
				aggregate: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "aggregate"),
				faults:    draw.Faults(rt, "faults"),
				again:     rapid.IntRange(0, 1).Draw(rt, "again"),
			}
		}
		lanes := rapid.IntRange(1, 4).Draw(rt, "writers at a time")
		db := newDB()
		synctest.Test(t, func(t *testing.T) {
			seed(t, db)
			var running sync.WaitGroup
			for lane := range lanes {
				running.Go(func() {
					for i := lane; i < len(writes); i += lanes {
						writes[i].run(t.Context(), db)
					}
				})
			}
			running.Wait()
		})
		if problem := judge(db, writes); problem != "" {
			rt.Fatal(problem)
		}
	})
}

func seed(t *testing.T, db *dynamotest.DB) {
	tx := outbox.New(db, config).Begin(t.Context())
	tx.Put(types.Put{TableName: aws.String(ordersTable), Item: dynamotest.Item{"orderId": s("count"), "n": n("0")}})
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

// judge compares what was reported with what is in the tables.
func judge(db *dynamotest.DB, writes []*write) string {
	orders, count := map[string]bool{}, ""
	for _, item := range db.Items(ordersTable) {
		if id := stringOf(item, "orderId"); id != "count" {
			orders[id] = true
		} else {
			count = stringOf(item, "n")
		}
	}
	events, versions, told := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, item := range db.Items(outboxTable) {
		if stringOf(item, "recordType") == "outbox.event" {
			events[stringOf(item, "id")] = true
			versions[stringOf(item, "pk")+stringOf(item, "version")] = true
			told[stringOf(item, "pk")]++
		}
	}
	if want := fmt.Sprint(len(orders)); count != want {
		return fmt.Sprintf("the count is %s, %s orders were written", count, want)
	}
	for aggregate, n := range told {
		for v := range n {
			if !versions[aggregate+fmt.Sprint(v+1)] {
				return fmt.Sprintf("%s has %d events and none with version %d", aggregate, n, v+1)
			}
		}
	}
	for _, w := range writes {
		written := orders[w.id]
		switch unknown := w.crashed || errors.Is(w.err, outbox.ErrUnknownOutcome); {
		case written != events[w.id]:
			return fmt.Sprintf("%s: order written: %v, event written: %v", w.id, written, events[w.id])
		case w.err == nil && !written:
			return w.id + " was reported as written and is not there"
		case w.err != nil && !unknown && written:
			return fmt.Sprintf("%s is there and was reported as failed: %v", w.id, w.err)
		}
	}
	return ""
}

package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// versions are those of the aggregate's events in the table, in order.
func versions(t *testing.T, db *dynamotest.DB, aggregate string) []int {
	t.Helper()
	var found []int
	for _, item := range db.Items(outboxTable) {
		if stringOf(item, "pk") != aggregate || stringOf(item, "recordType") != "outbox.event" {
			continue
		}
		v, err := strconv.Atoi(stringOf(item, "version"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, v)
	}
	slices.Sort(found)
	return found
}

func updated(id string) outbox.Event {
	return outbox.Event{Type: "OrderUpdated", AggregateType: "Order", AggregateID: id, Data: map[string]string{"orderId": id}}
}

func confirm(id string) types.Update {
	return types.Update{
		TableName:                 aws.String(ordersTable),
		Key:                       dynamotest.Item{"orderId": s(id)},
		UpdateExpression:          aws.String("SET #s = :s"),
		ConditionExpression:       aws.String("attribute_exists(orderId) OR attribute_not_exists(orderId)"),
		ExpressionAttributeNames:  map[string]string{"#s": "status"},
		ExpressionAttributeValues: dynamotest.Item{":s": s("CONFIRMED")},
	}
}

func TestVersionedWritesNumberTheirEvents(t *testing.T) {
	db := newDB()
	o := outbox.New(db, config)
	steps := []func(tx *outbox.Tx){
		func(tx *outbox.Tx) { tx.PutVersioned(order("o1"), "version", 0, updated("o1")) },
		func(tx *outbox.Tx) { tx.UpdateVersioned(confirm("o1"), "version", 1, updated("o1"), updated("o1")) },
		func(tx *outbox.Tx) {
			put := order("o1")
			put.ConditionExpression = nil
			tx.PutVersioned(put, "version", 3, updated("o1"))
		},
		func(tx *outbox.Tx) { tx.UpdateVersioned(confirm("o2"), "version", 0, updated("o2")) },
	}
	for i, step := range steps {
		tx := o.Begin(t.Context())
		step(tx)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if got := versions(t, db, "Order#o1"); !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("versions of o1: %v", got)
	}
	if got := versions(t, db, "Order#o2"); !slices.Equal(got, []int{1}) {
		t.Errorf("versions of o2: %v", got)
	}
	if got := stringOf(db.Items(ordersTable)[0], "version"); got != "4" {
		t.Errorf("order's version is %s, want 4", got)
	}
}

func TestVersionedWriteOfAnOutdatedItemFails(t *testing.T) {
	writes := map[string]func(tx *outbox.Tx, current int64){
		"put": func(tx *outbox.Tx, current int64) {
			put := order("o1")
			put.ConditionExpression = nil
			tx.PutVersioned(put, "version", current, updated("o1"))
		},
		"update": func(tx *outbox.Tx, current int64) {
			tx.UpdateVersioned(confirm("o1"), "version", current, updated("o1"))
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			db := newDB()
			o := outbox.New(db, config)
			for _, step := range []struct {
				current int64
				want    error
			}{{0, nil}, {0, outbox.ErrConditionFailed}, {2, outbox.ErrConditionFailed}, {1, nil}} {
				tx := o.Begin(t.Context())
				write(tx, step.current)
				if err := tx.Commit(t.Context()); !errors.Is(err, step.want) {
					t.Errorf("at current version %d: got %v, want %v", step.current, err, step.want)
				}
			}
			if got := versions(t, db, "Order#o1"); !slices.Equal(got, []int{1, 2}) {
				t.Errorf("versions %v, want 1 and 2", got)
			}
		})
	}
}

func TestVersionedWriteLeavesTheCallersStructAlone(t *testing.T) {
	tx := outbox.New(newDB(), config).Begin(t.Context())
	put, update := order("o1"), confirm("o2")
	tx.PutVersioned(put, "version", 4, updated("o1"))
	tx.UpdateVersioned(update, "version", 4, updated("o2"))
	if len(put.Item) != 2 || len(put.ExpressionAttributeNames) != 0 || len(update.ExpressionAttributeNames) != 1 || len(update.ExpressionAttributeValues) != 1 {
		t.Errorf("changed: %+v, %+v", put, update)
	}
}

func TestUpdateVersionedExtendsTheExpression(t *testing.T) {
	const set = "#outboxVersion = :outboxVersionTo"
	tests := map[string]string{
		"":                               "SET " + set,
		"SET a = :a":                     "SET " + set + ", a = :a",
		"set a = :a":                     "set " + set + ", a = :a",
		"SET\n  a = :a":                  "SET\n" + set + ",   a = :a",
		"REMOVE b SET a = :a":            "REMOVE b SET " + set + ", a = :a",
		"REMOVE b":                       "REMOVE b SET " + set,
		"ADD n :one":                     "ADD n :one SET " + set,
		"REMOVE #set, :set, offset , a1": "REMOVE #set, :set, offset , a1 SET " + set,
	}
	for expression, want := range tests {
		t.Run(expression, func(t *testing.T) {
			var got string
			c := &client{DB: newDB(), answer: func(_ int, in *dynamodb.TransactWriteItemsInput) (bool, error) {
				got = *in.TransactItems[1].Update.UpdateExpression
				return true, nil
			}}
			tx := outbox.New(c, config).Begin(t.Context())
			update := confirm("o1")
			update.UpdateExpression = &expression
			tx.UpdateVersioned(update, "version", 1, updated("o1"))
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestAppendNextNumbersEventsInOrder(t *testing.T) {
	db := newDB()
	o := outbox.New(db, config)
	for range 3 {
		tx := o.Begin(t.Context())
		tx.AppendNext(updated("o1"))
		tx.AppendNext(updated("o2"))
		tx.AppendNext(updated("o1"))
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := versions(t, db, "Order#o1"); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("versions of o1: %v", got)
	}
	if got := versions(t, db, "Order#o2"); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("versions of o2: %v", got)
	}
}

// The first read of every writer is of a time when there was no counter, so all but one lose a race.
func TestAppendNextGivesConcurrentWritersDifferentVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers = 20
		db := newDB()
		o := outbox.New(stale{db}, config)
		var running sync.WaitGroup
		for range writers {
			running.Go(func() {
				tx := o.Begin(t.Context())
				tx.AppendNext(updated("o1"))
				tx.AppendNext(updated("o2"))
				if err := tx.Commit(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		want := make([]int, writers)
		for i := range want {
			want[i] = i + 1
		}
		for _, aggregate := range []string{"Order#o1", "Order#o2"} {
			if got := versions(t, db, aggregate); !slices.Equal(got, want) {
				t.Errorf("versions of %s: %v", aggregate, got)
			}
		}
	})
}

// stale reads as if nothing had been written yet.
type stale struct{ *dynamotest.DB }

func (stale) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

// A lost race changes the request, so it must not be sent under the old token.
func TestLostRaceRenewsTheTokenAndKeepsTheEvent(t *testing.T) {
	db := newDB()
	c := &client{DB: db}
	o := outbox.New(c, config)
	first := o.Begin(t.Context())
	first.AppendNext(updated("o1"))
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.tokens = nil
	second := outbox.New(staleClient{c}, config).Begin(t.Context())
	id := second.AppendNext(updated("o1"))
	if err := second.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.tokens) != 2 || c.tokens[0] == c.tokens[1] {
		t.Errorf("tokens %v, want two different ones", c.tokens)
	}
	found := slices.ContainsFunc(db.Items(outboxTable), func(item dynamotest.Item) bool {
		return stringOf(item, "id") == id && stringOf(item, "version") == "2"
	})
	if !found {
		t.Errorf("no event %s with version 2: %v", id, db.Items(outboxTable))
	}
}

type staleClient struct{ *client }

func (staleClient) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

// An application's failed condition counts even when the counter's failed too: a retry could not help.
func TestLostRaceBesideAFailedConditionIsTheCondition(t *testing.T) {
	db := newDB()
	o := outbox.New(stale{db}, config)
	for _, want := range []error{nil, outbox.ErrConditionFailed} {
		tx := o.Begin(t.Context())
		tx.Put(order("o1"))
		tx.AppendNext(updated("o1"))
		err := tx.Commit(t.Context())
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
		var failed *outbox.ConditionFailedError
		if errors.As(err, &failed) && (len(failed.Failed) != 1 || failed.Failed[0].Index != 0) {
			t.Errorf("failed: %+v, want the order's action only", failed.Failed)
		}
	}
}

func TestAppendNextNeedsToRead(t *testing.T) {
	tx := outbox.New(writeOnly{}, config).Begin(t.Context())
	tx.AppendNext(updated("o1"))
	if err := tx.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "GetItem") {
		t.Errorf("got %v, want an error that names GetItem", err)
	}
}

type writeOnly struct{ outbox.Client }

func TestCounterThatCannotBeRead(t *testing.T) {
	throttled := &types.ProvisionedThroughputExceededException{}
	for err, want := range map[error]error{throttled: outbox.ErrThrottled, context.DeadlineExceeded: context.DeadlineExceeded} {
		tx := outbox.New(unreadable{newDB(), err}, config).Begin(t.Context())
		tx.AppendNext(updated("o1"))
		if got := tx.Commit(t.Context()); !errors.Is(got, want) || errors.Is(got, outbox.ErrUnknownOutcome) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

type unreadable struct {
	*dynamotest.DB
	err error
}

func (u unreadable) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return nil, u.err
}

func TestAppendNextRefusesACounterThatIsNoNumber(t *testing.T) {
	tx := outbox.New(brokenCounter{newDB()}, config).Begin(t.Context())
	tx.AppendNext(updated("o1"))
	if err := tx.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no number in %q", "version")) {
		t.Errorf("got %v", err)
	}
}

type brokenCounter struct{ *dynamotest.DB }

func (brokenCounter) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{Item: dynamotest.Item{"pk": s("Order#o1"), "version": s("one")}}, nil
}

package outbox_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// sized is a Put of an item of exactly that many bytes: the attribute names "orderId" and "b" take eight, the
// id four.
func sized(id int, bytes int) types.Put {
	return types.Put{TableName: aws.String(ordersTable), Item: dynamotest.Item{
		"orderId": s(fmt.Sprintf("%04d", id)), "b": s(strings.Repeat("x", bytes-12)),
	}}
}

func TestLimits(t *testing.T) {
	key := dynamotest.Item{"orderId": s("o1")}
	update := func() types.Update {
		return types.Update{TableName: aws.String(ordersTable), Key: key, UpdateExpression: aws.String("SET a = :a"), ExpressionAttributeValues: dynamotest.Item{":a": s("")}}
	}
	event := func(data int) outbox.Event {
		e := created()
		e.Data = strings.Repeat("x", data)
		return e
	}
	tests := map[string]struct {
		add  func(tx *outbox.Tx)
		want string // in the error, or empty for none
	}{
		"100 actions": {func(tx *outbox.Tx) {
			for i := range 100 {
				tx.Put(sized(i, 20))
			}
		}, ""},
		"101 actions": {func(tx *outbox.Tx) {
			for i := range 101 {
				tx.Put(sized(i, 20))
			}
		}, "too large: transaction has 101 actions, at most 100 are allowed"},
		"a counter is an action": {func(tx *outbox.Tx) {
			for i := range 99 {
				tx.Put(sized(i, 20))
			}
			tx.AppendNext(updated("o1"))
		}, "transaction has 101 actions"},
		"400 KB item":      {func(tx *outbox.Tx) { tx.Put(sized(0, 409_600)) }, ""},
		"item over 400 KB": {func(tx *outbox.Tx) { tx.Put(sized(0, 20)); tx.Put(sized(1, 409_601)) }, `too large: action[1] (Put on "orders"): item has 409601 bytes, at most 409600 are allowed`},
		"update over 400 KB": {func(tx *outbox.Tx) {
			u := update()
			u.ExpressionAttributeValues[":a"] = s(strings.Repeat("x", 409_601))
			tx.Update(u)
		}, `action[0] (Update on "orders"): item has 409601 bytes`},
		"4 MB": {func(tx *outbox.Tx) {
			for i := range 16 {
				tx.Put(sized(i, 262_144))
			}
		}, ""},
		"over 4 MB": {func(tx *outbox.Tx) {
			for i := range 16 {
				tx.Put(sized(i, 262_144))
			}
			tx.Delete(types.Delete{TableName: aws.String(ordersTable), Key: key})
		}, "too large: transaction's items have 4194313 bytes, at most 4194304 are allowed"},
		"event that fits":    {func(tx *outbox.Tx) { tx.Append(event(260_000)) }, ""},
		"event over 256 KB":  {func(tx *outbox.Tx) { tx.Append(event(262_144)) }, "too large: event OrderCreated of Order \"o1\" has up to"},
		"quotes are doubled": {func(tx *outbox.Tx) { e := created(); e.Data = make([]string, 70_000); tx.Append(e) }, "too large: event OrderCreated"},
		"two updates":        {func(tx *outbox.Tx) { tx.Update(update()); tx.Update(update()) }, `action[0] and action[1] are for the same item of "orders"`},
		"put, check": {func(tx *outbox.Tx) {
			tx.Put(order("o1"))
			tx.Check(types.ConditionCheck{TableName: aws.String(ordersTable), Key: key})
		}, "action[0] and action[1] are for the same item"},
		"delete, put": {func(tx *outbox.Tx) {
			tx.Delete(types.Delete{TableName: aws.String(ordersTable), Key: key})
			tx.Put(order("o1"))
		}, "action[0] and action[1] are for the same item"},
		"event twice": {func(tx *outbox.Tx) { e := event(1); e.ID = "same"; tx.Append(e); e.Version = 2; tx.Append(e) }, `action[0] and action[1] are for the same item of "outbox"`},
		"two orders":  {func(tx *outbox.Tx) { tx.Put(order("o1")); tx.Put(order("o2")) }, ""},
		"two tables, one key": {func(tx *outbox.Tx) {
			u := update()
			u.TableName = aws.String("other")
			tx.Update(update())
			tx.Update(u)
		}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := &client{DB: newDB(), answer: func(int, *dynamodb.TransactWriteItemsInput) (bool, error) { return true, nil }}
			tx := outbox.New(c, config).Begin(t.Context())
			tt.add(tx)
			err := tx.Commit(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if strings.Contains(tt.want, "too large") && !errors.Is(err, outbox.ErrTooLarge) {
				t.Error("errors.Is(err, ErrTooLarge) is false")
			}
			if len(c.tokens) != 0 {
				t.Error("a request was sent")
			}
		})
	}
}

// TestRetentionThatHasNoTime: an item that expires at once may be gone before a redrive needs it.
func TestRetentionThatHasNoTime(t *testing.T) {
	for retention, refused := range map[time.Duration]bool{
		-time.Hour: true, time.Second - 1: true,
		0: false, time.Second: false,
	} {
		c := &client{DB: newDB()}
		tx := outbox.New(c, outbox.Config{Table: outboxTable, Source: "orders", Retention: retention}).Begin(t.Context())
		tx.Append(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: "o1", Version: 1})
		err := tx.Commit(t.Context())
		want := "Retention must be at least 1s, or 0 for 168h0m0s, got " + retention.String()
		if refused && (err == nil || !strings.Contains(err.Error(), want) || len(c.tokens) > 0) {
			t.Errorf("retention %s: got %v and %d requests, want an error that says %q and none", retention, err, len(c.tokens), want)
		}
		if !refused && err != nil {
			t.Errorf("retention %s: %v", retention, err)
		}
	}
}

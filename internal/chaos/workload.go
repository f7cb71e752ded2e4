package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// clients is how many orders are under way at once.
const clients = 24

// maxTries is how often a client tries one write before it leaves it at that.
const maxTries = 20

// customers share the orders.
const customers = 25

// workload is what the clients want: orders, and changes of them.
type workload struct {
	*client
	dice   dice
	orders int
	// onlyCreate reports that an order cannot be changed.
	onlyCreate bool
	// done is called when the client has all its answers about an order.
	done func()
}

// run places all orders. It returns when the last client has its answers.
func (w *workload) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range clients {
		group.Go(func() error {
			for n := int(next.Add(1)); n <= w.orders; n = int(next.Add(1)) {
				if err := w.order(ctx, n); err != nil {
					return err
				}
				w.done()
			}
			return nil
		})
	}
	return group.Wait()
}

// order places one order and does with it what the dice say.
func (w *workload) order(ctx context.Context, n int) error {
	key := fmt.Sprintf("s%d-%05d", w.dice.seed, n)
	customer := fmt.Sprintf("c-%d", n%customers)
	if w.dice.percent(3, key, "invalid") {
		body := orderOf(customer)
		body["currency"] = "euro"
		w.create(ctx, "create invalid "+key, key, customer, body)
		return ctx.Err()
	}
	if w.create(ctx, "create "+key, key, customer, orderOf(customer)) != history.OK {
		return ctx.Err()
	}
	if w.dice.percent(10, key, "again") {
		w.create(ctx, "create "+key, key, customer, orderOf(customer))
	}
	if w.dice.percent(3, key, "other body") {
		w.create(ctx, "create other "+key, key, "c-other", orderOf("c-other"))
	}
	if w.onlyCreate {
		return ctx.Err()
	}
	if w.dice.percent(10, key, "retouched") {
		w.retouch(ctx, key)
	}
	if w.dice.percent(15, key, "rivals") {
		w.rivals(ctx, key, customer)
		return ctx.Err()
	}
	w.lifeOf(ctx, key, customer)
	return ctx.Err()
}

// retouch changes when the order's first event may be deleted, as someone does who cleans up. That must
// never become an event. Whether it works does not matter.
func (w *workload) retouch(ctx context.Context, key string) {
	run, err := w.cluster.current(ctx)
	if err != nil {
		return
	}
	event := record.SortKey(key + "-1")
	_, _ = run.Cloud().DynamoDB().UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String(run.Summary.Outputs["OutboxTableName"]),
		Key: map[string]types.AttributeValue{
			record.AttrPK: &types.AttributeValueMemberS{Value: aggregateOf(key)},
			record.AttrSK: &types.AttributeValueMemberS{Value: event},
		},
		UpdateExpression:          aws.String("ADD #expires :day"),
		ConditionExpression:       aws.String("attribute_exists(" + record.AttrPK + ")"),
		ExpressionAttributeNames:  map[string]string{"#expires": record.AttrExpiresAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{":day": &types.AttributeValueMemberN{Value: "86400"}},
	})
}

// lifeOf moves an order on, as far as the dice say.
func (w *workload) lifeOf(ctx context.Context, key, customer string) {
	ways := [][]string{nil, {"CONFIRMED"}, {"CONFIRMED", "SHIPPED"}, {"CONFIRMED", "SHIPPED"}, {"CANCELLED"}, {"CONFIRMED", "CANCELLED"}, {"SHIPPED"}}
	for i, status := range ways[w.dice.of(len(ways), key, "way")] {
		if w.update(ctx, key, customer, status, int64(i+1), true) != history.OK {
			return
		}
	}
}

// rivals lets two clients change an order at the same time. At most one of them can.
func (w *workload) rivals(ctx context.Context, key, customer string) {
	var both sync.WaitGroup
	for _, status := range []string{"CONFIRMED", "CANCELLED"} {
		both.Go(func() { w.update(ctx, key, customer, status, 1, false) })
	}
	both.Wait()
}

func orderOf(customer string) map[string]any {
	return map[string]any{
		"customerId": customer, "currency": "EUR", "note": `say "hello" \ and don't #stop`,
		"items": []any{map[string]any{"sku": "tea-green-100", "quantity": 2, "unitPrice": 1290}},
	}
}

// valueOf returns an event's value of the order: see readEvents.
func valueOf(status, customer string) string { return status + " for " + customer }

func aggregateOf(key string) string { return "Order#" + key }

// create asks for an order until it is known whether it was placed.
func (w *workload) create(ctx context.Context, operation, key, customer string, body map[string]any) history.Step {
	return w.until(ctx, func(try int) answer {
		return w.send(ctx, request{
			operation: operation,
			write:     history.Write{Aggregate: aggregateOf(key), Version: 1, Type: "OrderCreated", Value: valueOf("CREATED", customer)},
			method:    http.MethodPost, path: "/orders", body: body,
			header:     map[string]string{"Idempotency-Key": key},
			disconnect: w.disconnects(operation, try),
		})
	})
}

// update asks for a change of an order until it is known whether it took place. Where the answer to the
// change was lost, a client that has no rival finds out by reading.
func (w *workload) update(ctx context.Context, key, customer, status string, version int64, alone bool) history.Step {
	operation := fmt.Sprintf("%s %s at %d", status, key, version)
	write := history.Write{Aggregate: aggregateOf(key), Version: version + 1, Type: "OrderUpdated", Value: valueOf(status, customer)}
	lost := false
	return w.until(ctx, func(try int) answer {
		got := w.send(ctx, request{
			operation: operation, write: write,
			method: http.MethodPatch, path: "/orders/" + key, body: map[string]any{"status": status},
			header:     map[string]string{"If-Match": fmt.Sprintf(`"%d"`, version)},
			disconnect: w.disconnects(operation, try),
		})
		lost = lost || got.step == history.Unknown
		if got.status == http.StatusPreconditionFailed && lost && alone {
			return w.readBack(ctx, operation, write, key, status)
		}
		return got
	})
}

// readBack reports whether the order is what a change would have made of it.
func (w *workload) readBack(ctx context.Context, operation string, write history.Write, key, status string) answer {
	for n := 1; n <= maxTries; n++ {
		got, err := w.exchange(ctx, request{method: http.MethodGet, path: "/orders/" + key})
		var order struct {
			Status  string
			Version int64
		}
		if err == nil && got.status == http.StatusOK && json.Unmarshal(got.body, &order) == nil {
			call := history.Call{Operation: operation, Write: write, Step: history.Invoke, Detail: "read back"}
			w.log.Call(call)
			call.Step = history.Fail
			if order.Version == write.Version && order.Status == status {
				call.Step = history.OK
			}
			w.log.Call(call)
			return answer{step: call.Step, status: got.status}
		}
		if pause(ctx, n) != nil {
			break
		}
	}
	return answer{step: history.Fail}
}

// until tries until the outcome is known, or for the last time.
func (w *workload) until(ctx context.Context, try func(n int) answer) history.Step {
	for n := 1; ; n++ {
		got := try(n)
		if got.step != history.Unknown || n == maxTries {
			return got.step
		}
		if pause(ctx, n) != nil {
			return history.Unknown
		}
	}
}

// disconnects returns when the client goes away in that try, or 0. The last tries it stays for.
func (w *workload) disconnects(operation string, try int) time.Duration {
	if try > 3 || !w.dice.percent(4, operation, try, "disconnect") {
		return 0
	}
	return w.dice.between(time.Millisecond, 30*time.Millisecond, operation, try)
}

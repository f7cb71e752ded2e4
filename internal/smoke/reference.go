package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A reference is the reference application, which a stack with its outputs has.
type reference struct{ api, orders, notifications string }

// The outputs and names of the reference application.
const (
	outputAPI           = "ApiUrl"
	outputOrders        = "OrdersTableName"
	outputNotifications = "NotificationsTableName"

	notifier  = "PublisherTwo"
	historian = "OrderUpdatedPublisher"
)

// findReference returns the reference application, nil where the stack is another's.
func (r *Runner) findReference(ctx context.Context) (*reference, error) {
	stacks, err := r.Clients.Stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &r.Stack.Name})
	if err != nil {
		return nil, fmt.Errorf("read the outputs of stack %s: %w", r.Stack.Name, err)
	}
	outputs := map[string]string{}
	for _, s := range stacks.Stacks {
		for _, o := range s.Outputs {
			outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	ref := &reference{outputs[outputAPI], outputs[outputOrders], outputs[outputNotifications]}
	if ref.api == "" || ref.orders == "" || ref.notifications == "" {
		return nil, nil
	}
	return ref, nil
}

// call sends a signed request to the API.
func (r *Runner) call(ctx context.Context, method, path, body string, headers ...string) (answer, error) {
	set := map[string]string{}
	if body != "" {
		set["Content-Type"] = "application/json"
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		set[name] = value
	}
	got, err := r.Clients.Web.send(ctx, "execute-api", method, strings.TrimSuffix(r.reference.api, "/")+path, body, set)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return got, nil
}

// customer is whose orders the run places.
func (r *Runner) customer() string { return namePrefix + r.id }

// orderOf returns the body of an order.
func (r *Runner) orderOf(note string, quantity int) string {
	raw, err := json.Marshal(map[string]any{
		"customerId": r.customer(), "currency": "EUR", "note": note,
		"items": []any{map[string]any{"sku": "tea-green-100", "quantity": quantity, "unitPrice": 1290}},
	})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return string(raw)
}

// key returns an Idempotency-Key of the run's own, and so the id of an order, which is removed with the run's other things.
func (r *Runner) key(what string) string {
	id := r.id + "-" + what
	r.placed(id)
	return id
}

// placed notes an order that the run has placed.
func (r *Runner) placed(id string) {
	r.orders = append(r.orders, id)
	if len(r.orders) > 1 {
		return
	}
	r.cleanups.add("orders of customer "+r.customer()+" in the tables "+r.reference.orders+" and "+r.reference.notifications, r.removeOrders)
}

// place places an order, and waits until it has all its effects.
func (r *Runner) place(ctx context.Context, what, note string, headers ...string) (id string, err error) {
	id = r.key(what)
	got, err := r.call(ctx, http.MethodPost, "/orders", r.orderOf(note, 2), append(headers, "Idempotency-Key: "+id)...)
	if err != nil {
		return "", err
	}
	if got.status != http.StatusCreated {
		return "", fmt.Errorf("POST /orders answers %s, want 201", got.short())
	}
	return id, r.settled(ctx, id)
}

// settled waits until the order's events have had all their effects, and the event of its shipment too, which one of these
// effects commits.
func (r *Runner) settled(ctx context.Context, order string) error {
	return r.await(ctx, "order "+order+" has all its effects", func() (bool, error) {
		trace, err := r.trace(ctx, record.PartitionKey("Order", order))
		if err != nil || !complete(trace) {
			return false, err
		}
		if !slices.ContainsFunc(trace.Events, func(e operate.TracedEvent) bool { return e.Type == "OrderCreated" }) {
			return true, nil
		}
		trace, err = r.trace(ctx, record.PartitionKey("Shipment", order))
		return err == nil && complete(trace), err
	})
}

// trace returns what `outbox trace` finds.
func (r *Runner) trace(ctx context.Context, id string) (*operate.Trace, error) {
	quiet := operate.NewDialog(nil, discard{}, false, false)
	return operate.Tracer{Clients: r.Clients.Clients, Outbox: r.Outbox, MaximumRead: 10_000, Dialog: quiet}.Trace(ctx, id)
}

// complete reports whether every effect is there.
func complete(t *operate.Trace) bool {
	for _, e := range t.Events {
		for _, c := range e.Consumers {
			if c.State != operate.Effective && c.State != operate.Unknowable {
				return false
			}
		}
	}
	return len(t.Events) > 0
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// settleTimeout is how long the removal of orders waits for effects that are still on their way.
const settleTimeout = 30 * time.Second

// removeOrders removes the orders of the run, with their shipments, histories and notifications, when nothing more comes.
func (r *Runner) removeOrders(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, id := range r.orders {
		// An order that was refused has no event, and an effect that does not come is another check's matter.
		if stored, err := r.item(waiting, r.reference.orders, orderKey(id)); err == nil && stored != nil {
			_ = r.settled(waiting, id)
		}
	}
	for _, id := range r.orders {
		if err := r.removeAll(ctx, r.reference.orders, "id", id, "entity"); err != nil {
			return err
		}
		if err := r.forgetAggregates(ctx, id); err != nil {
			return err
		}
	}
	return r.removeAll(ctx, r.reference.notifications, "customerId", r.customer(), "notification")
}

// forgetAggregates removes what ordered consumers remember of an order and its shipment, which does not expire.
func (r *Runner) forgetAggregates(ctx context.Context, order string) error {
	for _, c := range r.Outbox.Consumers {
		if !c.Ordered || c.InboxTable == "" {
			continue
		}
		for _, aggregate := range []string{"Order", "Shipment"} {
			for _, key := range []string{
				record.WaitingKey(c.Name, r.Outbox.Source, aggregate, order), record.StartKey(c.Name, r.Outbox.Source, aggregate, order),
				record.PositionKey(c.Name, r.Outbox.Source, aggregate, order),
			} {
				_, err := r.Clients.Tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{
					TableName: &c.InboxTable, Key: map[string]types.AttributeValue{record.AttrPK: &types.AttributeValueMemberS{Value: key}},
				})
				if err != nil {
					return fmt.Errorf("remove from table %s: %w", c.InboxTable, err)
				}
			}
		}
	}
	return nil
}

func orderKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}, "entity": &types.AttributeValueMemberS{Value: "order"}}
}

// beside returns the items with the partition key.
func (r *Runner) beside(ctx context.Context, table, name, value string) (all []map[string]types.AttributeValue, err error) {
	pages := dynamodb.NewQueryPaginator(r.Clients.Tables, &dynamodb.QueryInput{
		TableName: &table, KeyConditionExpression: aws.String("#k = :v"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeNames:  map[string]string{"#k": name},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", table, err)
		}
		all = append(all, page.Items...)
	}
	return all, nil
}

func (r *Runner) removeAll(ctx context.Context, table, name, value, sortKey string) error {
	items, err := r.beside(ctx, table, name, value)
	if err != nil {
		return err
	}
	for _, it := range items {
		_, err := r.Clients.Tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &table, Key: map[string]types.AttributeValue{name: it[name], sortKey: it[sortKey]},
		})
		if err != nil {
			return fmt.Errorf("remove from table %s: %w", table, err)
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// A status is how far an order has come.
type status string

const (
	created   status = "CREATED"
	confirmed status = "CONFIRMED"
	shipped   status = "SHIPPED"
	cancelled status = "CANCELLED"
)

// transitions are the statuses that may follow on a status.
var transitions = map[status][]status{
	created:   {confirmed, cancelled},
	confirmed: {shipped, cancelled},
	shipped:   {},
	cancelled: {},
}

// An order is the item with entity "order", and the answer's body.
type order struct {
	ID         string `dynamodbav:"id" json:"id"`
	CustomerID string `dynamodbav:"customerId" json:"customerId"`
	Items      []line `dynamodbav:"items" json:"items"`
	Currency   string `dynamodbav:"currency" json:"currency"`
	Note       string `dynamodbav:"note" json:"note,omitempty"`
	Status     status `dynamodbav:"status" json:"status"`
	Version    int64  `dynamodbav:"version" json:"version"`
	CreatedAt  int64  `dynamodbav:"createdAt" json:"createdAt"` // epoch milliseconds
}

// A line is one item of an order; its price is in minor units of the currency. Both numbers are whole, but float64 reads
// them also where the API let the client spell them 1.0 or 1e1.
type line struct {
	SKU       string  `dynamodbav:"sku" json:"sku"`
	Quantity  float64 `dynamodbav:"quantity" json:"quantity"`
	UnitPrice float64 `dynamodbav:"unitPrice" json:"unitPrice"`
}

// may reports whether the order's next status can be the given one.
func (o order) may(next status) bool { return slices.Contains(transitions[o.Status], next) }

// An updated is the data of the event OrderUpdated.
type updated struct {
	OrderID    string `json:"orderId"`
	CustomerID string `json:"customerId"`
	Status     status `json:"status"`
	Previous   status `json:"previousStatus"`
}

// orders reads and writes the table of orders.
type orders struct {
	table  string
	db     outbox.ItemReader
	outbox *outbox.Outbox
}

// find returns the order with that id; found is false when there is none.
func (s orders) find(ctx context.Context, id string) (o order, found bool, err error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		Key:            key(id),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil || len(out.Item) == 0 {
		return order{}, false, err
	}
	if err := attributevalue.UnmarshalMap(out.Item, &o); err != nil {
		return order{}, false, fmt.Errorf("order %s: %w", id, err)
	}
	return o, true, nil
}

// move writes the order's next status together with the event OrderUpdated, or neither. Its errors are those of
// outbox.Tx.Commit: ErrConditionFailed when the order has changed since it was read.
func (s orders) move(ctx context.Context, o order, next status) (order, error) {
	tx := s.outbox.Begin(ctx)
	tx.UpdateVersioned(types.Update{
		TableName:                 &s.table,
		Key:                       key(o.ID),
		UpdateExpression:          aws.String("SET #status = :status"),
		ExpressionAttributeNames:  map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":status": text(string(next))},
	}, "version", o.Version, outbox.Event{
		Type:          "OrderUpdated",
		AggregateType: "Order",
		AggregateID:   o.ID,
		Data:          updated{OrderID: o.ID, CustomerID: o.CustomerID, Status: next, Previous: o.Status},
	})
	if err := tx.Commit(ctx); err != nil {
		return order{}, err
	}
	o.Status = next
	o.Version++
	return o, nil
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": text(id), "entity": text("order")}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// direct measures how long DynamoDB Local alone takes for the transactions of the API and of all consumers for
// throughputOrders orders: the yardstick for the whole flow.
func (b *bench) direct(ctx context.Context) (time.Duration, error) {
	c := cloud.New("us-east-1")
	service, err := tables.Start(ctx, tables.Config{Cloud: c, Dir: b.scratch("direct"), Log: io.Discard})
	if err != nil {
		return 0, err
	}
	defer service.Close()
	client := c.DynamoDB()
	for name, key := range map[string][]string{
		"orders": {"id", "entity"}, "notifications": {"customerId", "notification"},
		"outbox": {record.AttrPK, record.AttrSK}, "inbox": {record.AttrPK},
	} {
		if err := createTable(ctx, client, name, key); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	err = share(ctx, throughputOrders, func(ctx context.Context) error { return commit(ctx, client) })
	return time.Since(begin), err
}

// createTable creates a table, the outbox table with a stream.
func createTable(ctx context.Context, client *dynamodb.Client, name string, key []string) error {
	input := &dynamodb.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
	}
	for i, attr := range key {
		input.AttributeDefinitions = append(input.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(attr), AttributeType: types.ScalarAttributeTypeS})
		input.KeySchema = append(input.KeySchema, types.KeySchemaElement{AttributeName: aws.String(attr), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
	}
	if name == "outbox" {
		input.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage}
	}
	if _, err := client.CreateTable(ctx, input); err != nil {
		return fmt.Errorf("create table %s: %w", name, err)
	}
	return nil
}

// A put is an item for a table.
type put struct {
	table string
	item  map[string]types.AttributeValue
}

// commit commits the transactions of one order: that of POST, then those of its consumers, as in lambdas/, each with
// its marker in the inbox.
func commit(ctx context.Context, client *dynamodb.Client) error {
	id := uuid.NewString()
	created, err := event("OrderCreated", "Order", id, body)
	if err != nil {
		return err
	}
	requested, err := event("ShipmentRequested", "Shipment", id, `{"orderId":"`+id+`","customerId":"c-42","units":2}`)
	if err != nil {
		return err
	}
	now := number(time.Now().UnixMilli())
	for _, transaction := range [1 + handlingsPerOrder][]put{
		{order(id, now), {"outbox", created}},
		{marker("one", id, now), {"outbox", requested}, {"orders", fields{
			"id": text(id), "entity": text("shipment"), "status": text("REQUESTED"), "units": number(2), "requestedAt": now,
		}}},
		{marker("updated", id, now), {"orders", fields{
			"id": text(id), "entity": text("history#0000000001"), "version": number(1), "status": text("CREATED"), "occurredAt": now, "eventId": text(id + "-1"),
		}}},
		{marker("two", id, now), notification(id, "OrderCreated")},
		{marker("two", id+"-shipment", now), notification(id, "ShipmentRequested")},
	} {
		if err := writeOnce(ctx, client, transaction); err != nil {
			return err
		}
	}
	return nil
}

// writeOnce puts items in one transaction, on condition that none of them exists.
func writeOnce(ctx context.Context, client *dynamodb.Client, puts []put) error {
	var items []types.TransactWriteItem
	for _, p := range puts {
		condition := "attribute_not_exists(#key)"
		key := map[string]string{"orders": "id", "notifications": "customerId", "outbox": record.AttrPK, "inbox": record.AttrPK}[p.table]
		items = append(items, types.TransactWriteItem{Put: &types.Put{
			TableName: &p.table, Item: p.item, ConditionExpression: &condition, ExpressionAttributeNames: map[string]string{"#key": key},
		}})
	}
	_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return err
}

type fields = map[string]types.AttributeValue

func order(id string, now types.AttributeValue) put {
	return put{"orders", fields{
		"id": text(id), "entity": text("order"), "customerId": text("c-42"), "currency": text("EUR"),
		"status": text("CREATED"), "version": number(1), "createdAt": now,
		"items": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberM{Value: fields{
			"sku": text("tea-green-100"), "quantity": number(2), "unitPrice": number(1290),
		}}}},
	}}
}

func event(kind, aggregate, id, data string) (fields, error) {
	now := time.Now()
	return record.Event{
		ID: uuid.NewString(), Type: kind, Source: "orders", AggregateType: aggregate, AggregateID: id,
		Version: 1, OccurredAt: now, Data: []byte(data),
	}.Item(now.Add(7 * 24 * time.Hour))
}

// marker returns the inbox's marker of a handled event.
func marker(consumer, event string, now types.AttributeValue) put {
	return put{"inbox", fields{record.AttrPK: text("event#" + consumer + "#" + event), record.AttrExpiresAt: now}}
}

func notification(order, kind string) put {
	return put{"notifications", fields{
		"customerId": text("c-42"), "notification": text(time.Now().Format(time.RFC3339Nano) + "#" + order + kind),
		"orderId": text(order), "eventType": text(kind), "text": text("We have received your order " + order + "."),
	}}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

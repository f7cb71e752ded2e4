package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/local/cloud"
	"github.com/outboxkit/transactional-outbox/local/tables"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// direct commits the transactions of manyOrders orders to a DynamoDB Local of its own, with nothing
// behind it: the yardstick for the whole flow.
func (b *bench) direct(ctx context.Context) (time.Duration, error) {
	c := cloud.New("us-east-1")
	service, err := tables.Start(ctx, tables.Config{Cloud: c, Dir: b.scratch("direct"), Log: io.Discard})
	if err != nil {
		return 0, err
	}
	defer service.Close()
	client := c.DynamoDB()
	for name, key := range map[string][]string{"orders": {"id", "entity"}, "outbox": {record.AttrPK, record.AttrSK}} {
		if err := createTable(ctx, client, name, key); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	err = share(ctx, manyOrders, func(ctx context.Context) error { return commit(ctx, client) })
	return time.Since(begin), err
}

// createTable makes a table with a stream, which the tables of the stack's flow have where it matters.
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

// commit is what POST /orders does: the order and its outbox record in one transaction.
func commit(ctx context.Context, client *dynamodb.Client) error {
	id := uuid.NewString()
	now := time.Now()
	event, err := record.Event{
		ID: id + "-1", Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: id,
		Version: 1, OccurredAt: now, Data: []byte(body),
	}.Item(now.Add(7 * 24 * time.Hour))
	if err != nil {
		return err
	}
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	number := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
	order := map[string]types.AttributeValue{
		"id": text(id), "entity": text("order"), "customerId": text("c-42"), "currency": text("EUR"),
		"status": text("CREATED"), "version": number("1"), "createdAt": number(fmt.Sprint(now.UnixMilli())),
		"items": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
			"sku": text("tea-green-100"), "quantity": number("2"), "unitPrice": number("1290"),
		}}}},
	}
	_, err = client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String("orders"), Item: order, ConditionExpression: aws.String("attribute_not_exists(id)")}},
		{Put: &types.Put{TableName: aws.String("outbox"), Item: event, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
	}})
	return err
}

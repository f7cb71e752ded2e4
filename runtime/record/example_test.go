package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The body of an SQS message, as the rule of a consumer delivers it.
func ExampleDecode() {
	body := []byte(`{
		"detail-type": "OrderCreated",
		"source": "orders",
		"detail": {
			"id": "o-1-1", "type": "OrderCreated", "aggregateType": "Order", "aggregateId": "o-1",
			"version": "1", "occurredAt": "1793611801123", "data": {"S": "{\"currency\":\"EUR\"}"}, "traceparent": {"S": ""}
		}
	}`)
	event, err := record.Decode(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Type, event.AggregateID, event.Version, event.OccurredAt.Format(time.RFC3339))
	fmt.Println(string(event.Data))
	// Output:
	// OrderCreated o-1 1 2026-11-02T09:30:01Z
	// {"currency":"EUR"}
}

// What is no envelope will never be one: no retry helps.
func ExampleDecode_notAnEnvelope() {
	_, err := record.Decode([]byte(`{"Records": []}`))
	fmt.Println(errors.Is(err, record.ErrNotAnEnvelope), err)
	// Output: true not an outbox envelope: detail is missing, it must be a JSON object
}

// The item goes into the transaction that makes the business write.
func ExampleEvent_Item() {
	now := time.UnixMilli(1793611801123)
	event := record.Event{
		ID:            "01932f0e-7c1b-7cc3-98c4-dc0c0c07398f",
		Type:          "OrderCreated",
		Source:        "orders",
		AggregateType: "Order",
		AggregateID:   "o-1",
		Version:       1,
		OccurredAt:    now,
		Data:          json.RawMessage(`{"currency":"EUR"}`),
	}
	item, err := event.Item(now.Add(7 * 24 * time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	put := types.TransactWriteItem{Put: &types.Put{Item: item}}
	fmt.Println(put.Put.Item[record.AttrPK].(*types.AttributeValueMemberS).Value)
	fmt.Println(put.Put.Item[record.AttrSK].(*types.AttributeValueMemberS).Value)
	// Output:
	// Order#o-1
	// event#01932f0e-7c1b-7cc3-98c4-dc0c0c07398f
}

func ExampleEvent_Validate() {
	event := record.Event{ID: "e-1", Type: "OrderCreated", Source: "aws.orders", AggregateType: "Order", AggregateID: "o-1", Data: json.RawMessage(`{}`)}
	fmt.Println(event.Validate())
	// Output:
	// source must not begin with "aws.", which is reserved for AWS services, got "aws.orders"
	// version must be at least 1, got 0
}

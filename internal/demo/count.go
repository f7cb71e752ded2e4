package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// expected lists what the demo leaves in the tables and dead-letter queues.
var expected = []struct {
	what string
	n    int
}{
	{"order", 1},
	{"event OrderCreated", 1},
	{"event OrderUpdated", 1},
	{"event ShipmentRequested", 1},
	{"shipment", 1},
	{"entry of the history", 2},
	{"notification of the customer", 2},
	{"dead-letter message", 0},
}

// count counts until the counts are as expected, and prints them. It returns an error when they are not within timeout.
func (s *story) count(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		found, err := s.found(ctx)
		if err != nil {
			return err
		}
		wrong := differences(found)
		if len(wrong) == 0 {
			s.list(found)
			s.say("\nEvery effect is there, and none is there twice.")
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-waiting.Done():
			s.list(found)
			return fmt.Errorf("after %s: %s", timeout, strings.Join(wrong, ", "))
		}
	}
}

func (s *story) list(found map[string]int) {
	for _, e := range expected {
		s.say(fmt.Sprintf("   %d × %s", found[e.what], e.what))
	}
}

// differences returns what is missing or too much.
func differences(found map[string]int) (wrong []string) {
	for _, e := range expected {
		if found[e.what] != e.n {
			wrong = append(wrong, fmt.Sprintf("%d × %s, expected %d", found[e.what], e.what, e.n))
		}
	}
	return wrong
}

func (s *story) found(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	for _, table := range []struct {
		output, key, value string
		name               func(map[string]types.AttributeValue) string
	}{
		{"OrdersTableName", "id", s.order, entity},
		{"OutboxTableName", record.AttrPK, "Order#" + s.order, event},
		{"OutboxTableName", record.AttrPK, "Shipment#" + s.order, event},
		{"NotificationsTableName", "customerId", s.customer, func(map[string]types.AttributeValue) string { return "notification of the customer" }},
	} {
		items, err := s.items(ctx, table.output, table.key, table.value)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			found[table.name(item)]++
		}
	}
	var err error
	found["dead-letter message"], err = s.deadLetters(ctx)
	return found, err
}

func entity(item map[string]types.AttributeValue) string {
	name := text(item["entity"])
	if strings.HasPrefix(name, "history#") {
		return "entry of the history"
	}
	return name
}

func event(item map[string]types.AttributeValue) string {
	return "event " + text(item[record.AttrType])
}

// items returns all items with a partition key in the table of an output.
func (s *story) items(ctx context.Context, output, key, value string) (items []map[string]types.AttributeValue, err error) {
	pages := dynamodb.NewQueryPaginator(s.run.Cloud().DynamoDB(), &dynamodb.QueryInput{
		TableName:                 aws.String(s.run.Summary.Outputs[output]),
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#k = :v"),
		ExpressionAttributeNames:  map[string]string{"#k": key},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", output, err)
		}
		items = append(items, page.Items...)
	}
	return items, nil
}

// deadLetters counts the messages in all dead-letter queues of the stack.
func (s *story) deadLetters(ctx context.Context) (n int, err error) {
	const waiting = sqstypes.QueueAttributeNameApproximateNumberOfMessages
	for _, output := range slices.Sorted(maps.Keys(s.run.Summary.Outputs)) {
		if !strings.HasSuffix(output, "DeadLetterQueueUrl") {
			continue
		}
		out, err := s.run.Cloud().SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl:       aws.String(s.run.Summary.Outputs[output]),
			AttributeNames: []sqstypes.QueueAttributeName{waiting},
		})
		if err != nil {
			return 0, fmt.Errorf("look into %s: %w", output, err)
		}
		var count int
		if _, err := fmt.Sscan(out.Attributes[string(waiting)], &count); err != nil {
			return 0, fmt.Errorf("look into %s: %w", output, err)
		}
		n += count
	}
	return n, nil
}

// text returns the value of a string attribute.
func text(value types.AttributeValue) string {
	s, _ := value.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

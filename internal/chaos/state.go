package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// readOrders reads the final state of the reference application from its tables and queues.
func readOrders(ctx context.Context, run *localrun.Run) (history.State, error) {
	var s history.State
	for _, part := range []struct {
		output string
		read   func(*history.State, map[string]types.AttributeValue)
	}{
		{"OutboxTableName", readEvent},
		{"OrdersTableName", readOrder},
		{"NotificationsTableName", readNotification},
	} {
		err := scan(ctx, run, part.output, func(item map[string]types.AttributeValue) { part.read(&s, item) })
		if err != nil {
			return s, err
		}
	}
	messages, err := readDeadLetters(ctx, run)
	s.DeadLetters = messages
	return s, err
}

// scan calls each with every item of the table that the output names.
func scan(ctx context.Context, run *localrun.Run, output string, each func(map[string]types.AttributeValue)) error {
	pages := dynamodb.NewScanPaginator(run.Cloud().DynamoDB(), &dynamodb.ScanInput{
		TableName: aws.String(run.Summary.Outputs[output]), ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", output, err)
		}
		for _, item := range page.Items {
			each(item)
		}
	}
	return nil
}

// ordersSource is the source of the reference application's events.
const ordersSource = "orders"

// readEvent reads an item of the outbox.
func readEvent(s *history.State, item map[string]types.AttributeValue) {
	if text(item[record.AttrRecordType]) != record.RecordTypeEvent || text(item[record.AttrSource]) != ordersSource {
		return // another item, or a heartbeat
	}
	var data struct{ Status, CustomerID string }
	_ = json.Unmarshal([]byte(text(item[record.AttrData])), &data)
	e := history.Event{
		ID: text(item[record.AttrID]), Type: text(item[record.AttrType]),
		Aggregate: text(item[record.AttrAggregateType]) + "#" + text(item[record.AttrAggregateID]),
		Version:   number(item[record.AttrVersion]), Cause: text(item[record.AttrCausationID]),
		Written: record.WrittenAt(item),
	}
	if e.Cause == "" {
		e.Value = valueOf(data.Status, data.CustomerID)
	}
	s.Events = append(s.Events, e)
}

// readOrder reads an item of the orders' table: an order, its shipment, a version of its history, or what
// the ledger and the journal wrote down.
func readOrder(s *history.State, item map[string]types.AttributeValue) {
	id, entity := text(item["id"]), text(item["entity"])
	switch {
	case entity == "order":
		s.Objects = append(s.Objects, history.Object{Aggregate: aggregateOf(id), Version: number(item["version"])})
	case entity == "shipment":
		s.Effects = append(s.Effects, history.Effect{Consumer: publisherOne, Kind: "shipment", Event: id + "-1"})
	case entity == "ledger":
		for range number(item["times"]) {
			s.Effects = append(s.Effects, history.Effect{Consumer: Ledger, Kind: "entry", Event: id})
		}
	case entity == "journal":
		s.Effects = append(s.Effects, journalOf(Journal, aggregateOf(id), item["entries"])...)
	case entity == "latecomer":
		s.Effects = append(s.Effects, journalOf(latecomer, aggregateOf(id), item["entries"])...)
	case strings.HasPrefix(entity, "history#"):
		s.Effects = append(s.Effects, history.Effect{
			Consumer: PublisherUpdated, Kind: "history", Event: text(item["eventId"]),
			Aggregate: aggregateOf(id), Position: number(item["version"]), Version: number(item["version"]),
		})
	}
}

// journalOf reads a journal: "<version> <event id>" in the order in which it was written.
func journalOf(consumer, aggregate string, entries types.AttributeValue) []history.Effect {
	var effects []history.Effect
	list, _ := entries.(*types.AttributeValueMemberL)
	if list == nil {
		return nil
	}
	for i, entry := range list.Value {
		version, event, _ := strings.Cut(text(entry), " ")
		v, _ := strconv.ParseInt(version, 10, 64)
		effects = append(effects, history.Effect{
			Consumer: consumer, Kind: "entry", Event: event, Aggregate: aggregate, Position: int64(i + 1), Version: v,
		})
	}
	return effects
}

// readNotification reads an item of a customer's list; its sort key ends with the event's id.
func readNotification(s *history.State, item map[string]types.AttributeValue) {
	_, event, _ := strings.Cut(text(item["notification"]), "#")
	s.Effects = append(s.Effects, history.Effect{Consumer: publisherTwo, Kind: "notification", Event: event})
}

func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func number(v types.AttributeValue) int64 {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	value, _ := strconv.ParseInt(n.Value, 10, 64)
	return value
}

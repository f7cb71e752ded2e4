package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// effects holds the effects of an order, counted in the tables and not in logs.
type effects struct {
	shipments     int // number of shipment items of the order; of the function troubled, its count
	requests      int // events ShipmentRequested in the outbox
	history       []string
	notifications int // number of notifications of the customer about the order
}

// created holds the effects of an OrderCreated.
var created = effects{shipments: 1, requests: 1, history: []string{"1 CREATED"}, notifications: 2}

func (e effects) equal(other effects) bool {
	return e.shipments == other.shipments && e.requests == other.requests && e.notifications == other.notifications &&
		slices.Equal(e.history, other.history)
}

// effectsOf counts the consumers' effects for a customer's order.
func effectsOf(ctx context.Context, t *testing.T, run *localrun.Run, order, customer string) effects {
	t.Helper()
	var e effects
	for _, item := range query(ctx, t, run, "OrdersTableName", "id", order) {
		switch entity := text(item["entity"]); {
		case entity == "shipment":
			times, err := strconv.Atoi(cmp.Or(text(item["times"]), "1"))
			if err != nil {
				t.Fatal(err)
			}
			e.shipments += times
		case strings.HasPrefix(entity, "history#"):
			e.history = append(e.history, text(item["version"])+" "+text(item["status"]))
		}
	}
	e.requests = len(query(ctx, t, run, "OutboxTableName", record.AttrPK, "Shipment#"+order))
	for _, item := range query(ctx, t, run, "NotificationsTableName", "customerId", customer) {
		if text(item["orderId"]) == order {
			e.notifications++
		}
	}
	return e
}

// awaitEffects waits until the order has these effects.
func awaitEffects(t *testing.T, run *localrun.Run, order, customer string, want effects) {
	t.Helper()
	ctx := within(t)
	for {
		got := effectsOf(ctx, t, run, order, customer)
		if got.equal(want) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the effects of order %s are %+v, want %+v", order, got, want)
		}
	}
}

// wantEffects checks at once that the order has these effects.
func wantEffects(t *testing.T, run *localrun.Run, order, customer string, want effects) {
	t.Helper()
	if got := effectsOf(within(t), t, run, order, customer); !got.equal(want) {
		t.Errorf("the effects of order %s are %+v, want %+v", order, got, want)
	}
}

// query returns all items with a partition key in the table of an output.
func query(ctx context.Context, t *testing.T, run *localrun.Run, output, key, value string) []map[string]types.AttributeValue {
	t.Helper()
	var items []map[string]types.AttributeValue
	pages := dynamodb.NewQueryPaginator(run.Cloud().DynamoDB(), &dynamodb.QueryInput{
		TableName:                 aws.String(run.Summary.Outputs[output]),
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#k = :v"),
		ExpressionAttributeNames:  map[string]string{"#k": key},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, page.Items...)
	}
	return items
}

// text returns the value of a string or number attribute.
func text(value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// envelope returns the message in which a consumer's queue receives the event of an outbox item.
func envelope(t *testing.T, item map[string]types.AttributeValue) string {
	t.Helper()
	envelope, err := record.Encode(item)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A logLine is the inbox's log line about a message.
type logLine struct {
	Msg         string // the outcome
	EventType   string
	AggregateID string
	Version     int64
	Error       string
	Stack       string
}

// outcomes returns the lines that a consumer's inbox has logged about an aggregate, in order.
func outcomes(run *localrun.Run, consumer, aggregate string) []logLine {
	var lines []logLine
	for _, h := range run.Hops(outcome(run, consumer, aggregate, "")) {
		lines = append(lines, parse(h))
	}
	return lines
}

// awaitOutcomes waits until a consumer's inbox has logged msg about an aggregate n times.
func awaitOutcomes(t *testing.T, run *localrun.Run, consumer, aggregate, msg string, n int) []hop.Hop {
	t.Helper()
	hops, err := run.Wait(within(t), n, outcome(run, consumer, aggregate, msg))
	if err != nil {
		t.Fatalf("%s did not log %q about %s %d times: %v; it logged %+v", consumer, msg, aggregate, n, err, outcomes(run, consumer, aggregate))
	}
	return hops
}

// outcome returns a filter for a consumer's lines about an aggregate: those with one outcome, or all for "".
func outcome(run *localrun.Run, consumer, aggregate, msg string) func(hop.Hop) bool {
	return func(h hop.Hop) bool {
		if h.Stage != hop.Function || !strings.Contains(run.Name(h.Resource), consumer) {
			return false
		}
		l := parse(h)
		return l.AggregateID == aggregate && (msg == "" || l.Msg == msg)
	}
}

func parse(h hop.Hop) (l logLine) {
	if json.Unmarshal([]byte(h.Detail), &l) != nil {
		return logLine{} // not a line of the inbox
	}
	return l
}

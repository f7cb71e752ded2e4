package dynamotest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// batchReader answers the audit's reads from the model.
type batchReader struct{ *dynamotest.DB }

func (b batchReader) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, request := range in.RequestItems {
		for _, key := range request.Keys {
			got, err := b.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key})
			if err != nil {
				return nil, err
			}
			if got.Item != nil {
				out.Responses[table] = append(out.Responses[table], got.Item)
			}
		}
	}
	return out, nil
}

// since is for the inbox's question when the consumer's queue was created.
type since struct {
	noQueues
	created time.Time
}

func (s since) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": strconv.FormatInt(s.created.Unix(), 10)}}, nil
}

// consumer is one of three kinds under the audit.
type consumer struct {
	name    string
	ordered bool
	handler inbox.LambdaHandler
	effects map[string]int // runs of an effect outside of DynamoDB, by event
}

// delivery is one event given to one consumer, or a pause.
type delivery struct {
	consumer, event int
	fault           dynamotest.Fault
	minutes         int
	waited          bool // the message has waited for its predecessor as long as it may
}

// TestTheAuditConfirmsWhatHadAnEffect: whatever is delivered, in whatever order and with whatever faults, the audit confirms
// exactly the events whose effects the inbox has committed, and those that an ordered consumer is not asked for because they
// were written before it joined.
func TestTheAuditConfirmsWhatHadAnEffect(t *testing.T) {
	var confirmed, missing, notDue int
	rapid.Check(t, func(rt *rapid.T) {
		aggregates := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 1, 8).Draw(rt, "aggregates")
		before := rapid.IntRange(0, len(aggregates)).Draw(rt, "written before the consumers joined")
		deliveries := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) delivery {
			return delivery{
				consumer: rapid.IntRange(0, 2).Draw(rt, "consumer"), event: rapid.IntRange(0, len(aggregates)-1).Draw(rt, "event"),
				fault: rapid.SampledFrom(dynamotest.Faults).Draw(rt, "fault"), minutes: rapid.SampledFrom([]int{0, 0, 1, 30}).Draw(rt, "pause"),
				waited: rapid.Bool().Draw(rt, "waited"),
			}
		}), 0, 25).Draw(rt, "deliveries")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			db := dynamotest.New(keys)
			var items []audit.Item
			commit := func(some []string) {
				for _, aggregate := range some {
					items = append(items, commitNext(t, db, aggregate, len(items)))
					time.Sleep(2 * time.Second)
				}
			}
			commit(aggregates[:before])
			created := time.Now().Truncate(time.Second)
			commit(aggregates[before:])
			consumers := map[int]*consumer{}
			var faults []dynamotest.Fault
			for i, name := range []string{"plain", "ordered", "effectful"} {
				consumers[i] = newConsumer(t, db, name, created, &faults)
			}
			for _, d := range deliveries {
				time.Sleep(time.Duration(d.minutes) * time.Minute)
				faults = []dynamotest.Fault{d.fault}
				consumers[d.consumer].deliver(t, items[d.event], d.waited)
			}
			for _, c := range consumers {
				for _, item := range items {
					v, skipped := c.verdict(t, db, item, created)
					had := c.hadEffect(t, db, item)
					switch {
					case skipped && !v.Confirmed && c.hasJoined(t, db):
						problem = fmt.Sprintf("%s: %s was written before the consumer joined and is not confirmed: %s", c.name, textOf(item, "id"), v.Reason)
					case v.Confirmed && !had && !skipped:
						problem = fmt.Sprintf("%s: %s is confirmed and had no effect", c.name, textOf(item, "id"))
					case !v.Confirmed && had && c.name != "effectful":
						problem = fmt.Sprintf("%s: %s had its effect and is not confirmed: %s", c.name, textOf(item, "id"), v.Reason)
					}
					switch {
					case skipped:
						notDue++
					case v.Confirmed:
						confirmed++
					default:
						missing++
					}
				}
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
	t.Logf("%d effects were confirmed, %d were missing, %d were not due", confirmed, missing, notDue)
	if confirmed == 0 || missing == 0 || notDue == 0 {
		t.Error("one of the verdicts never came up: the property shows nothing about it")
	}
}

// commitNext commits the next event of an aggregate and returns its item.
func commitNext(t *testing.T, db *dynamotest.DB, aggregate string, n int) audit.Item {
	t.Helper()
	version := int64(1)
	for _, item := range db.Items(outboxTable) {
		if textOf(item, record.AttrAggregateID) == aggregate {
			version++
		}
	}
	tx := outbox.New(db, outbox.Config{Table: outboxTable, Source: "orders"}).Begin(t.Context())
	id := tx.Append(outbox.Event{ID: fmt.Sprint("e", n), Type: "OrderUpdated", AggregateType: "Order", AggregateID: aggregate, Version: version, Data: struct{}{}})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, item := range db.Items(outboxTable) {
		if textOf(item, record.AttrID) == id {
			return item
		}
	}
	t.Fatal("the event is not in the outbox table")
	return nil
}

// newConsumer returns a consumer whose requests have the faults in turn.
func newConsumer(t *testing.T, db *dynamotest.DB, name string, created time.Time, faults *[]dynamotest.Fault) *consumer {
	t.Helper()
	c := &consumer{name: name, ordered: name == "ordered"}
	c.handler = func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		ctx, crash := context.WithCancel(ctx)
		defer crash()
		conn := db.Connect(func() dynamotest.Fault {
			if len(*faults) == 0 {
				return dynamotest.None
			}
			next := (*faults)[0]
			*faults = nil
			return next
		}, crash)
		store, err := inbox.New(conn, since{created: created}, inbox.Config{
			Table: inboxTable, Consumer: name, TTL: 60 * 24 * time.Hour, QueueURL: "queue", DeadLetterQueueURL: "dlq", OriginTable: outboxTable,
			Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
		})
		if err != nil {
			t.Fatal(err)
		}
		effect := func(_ context.Context, tx *outbox.Tx, event record.Event) error {
			tx.Put(types.Put{TableName: aws.String(ordersTable), Item: audit.Item{"orderId": s(name + "/" + event.ID)}})
			return nil
		}
		switch name {
		case "ordered":
			return inbox.Handler(store, effect, inbox.InOrder(), inbox.GapTimeout(time.Minute))(ctx, batch)
		case "effectful":
			if c.effects == nil {
				c.effects = map[string]int{}
			}
			return inbox.EffectHandler(store, func(_ context.Context, event record.Event) error {
				c.effects[event.ID]++
				return nil
			})(ctx, batch)
		}
		return inbox.Handler(store, effect)(ctx, batch)
	}
	return c
}

// deliver gives an event to the consumer once.
func (c *consumer) deliver(t *testing.T, item audit.Item, waited bool) {
	t.Helper()
	body, err := audit.Place{}.Message(item, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	received := time.Now()
	if waited {
		received = received.Add(-time.Hour)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _ = c.handler(ctx, events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m", Body: body, Attributes: map[string]string{"ApproximateFirstReceiveTimestamp": strconv.FormatInt(received.UnixMilli(), 10)},
	}}})
	synctest.Wait()
}

// verdict returns the audit's verdict, and whether the event was written before an ordered consumer joined.
func (c *consumer) verdict(t *testing.T, db *dynamotest.DB, item audit.Item, created time.Time) (v audit.Verdict, skipped bool) {
	t.Helper()
	event, err := audit.EventOf(item)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := audit.Confirm(t.Context(), batchReader{db}, []audit.Effect{{Event: event, Consumer: &audit.Consumer{
		Consumer: description.Consumer{Name: c.name, InboxTable: inboxTable, Ordered: c.ordered},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return verdicts[0], c.ordered && event.WrittenAt.Before(created)
}

// hadEffect reports whether the event had its effect: the item in the transaction, or a run of the function.
func (c *consumer) hadEffect(t *testing.T, db *dynamotest.DB, item audit.Item) bool {
	t.Helper()
	id := textOf(item, record.AttrID)
	if c.name == "effectful" {
		return c.effects[id] > 0
	}
	got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(ordersTable), Key: audit.Item{"orderId": s(c.name + "/" + id)}})
	if err != nil {
		t.Fatal(err)
	}
	return got.Item != nil
}

// hasJoined reports whether an ordered consumer has noted when it joined.
func (c *consumer) hasJoined(t *testing.T, db *dynamotest.DB) bool {
	t.Helper()
	got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(inboxTable), Key: audit.Item{"pk": s(record.JoinKey(c.name))}})
	if err != nil {
		t.Fatal(err)
	}
	return got.Item != nil
}

func textOf(item audit.Item, name string) string { return stringOf(item, name) }

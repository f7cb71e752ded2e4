package dynamotest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// These run outbox and inbox against DynamoDB Local, for what a model cannot show: that the expressions
// they build are DynamoDB's, and that they live with its conflicts.

var config = outbox.Config{Table: outboxTable, Source: "orders"}

func updated(orderID string) outbox.Event {
	return outbox.Event{Type: "OrderUpdated", AggregateType: "Order", AggregateID: orderID, Data: map[string]string{"orderId": orderID}}
}

// versions are those of the aggregate's events, in order.
func versions(t testing.TB, db *dynamodb.Client, aggregateID string) []int {
	t.Helper()
	out, err := db.Query(t.Context(), &dynamodb.QueryInput{
		TableName:                 aws.String(outboxTable),
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :event)"),
		ExpressionAttributeValues: dynamotest.Item{":pk": s("Order#" + aggregateID), ":event": s("event#")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, item := range out.Items {
		v, err := strconv.Atoi(stringOf(item, "version"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, v)
	}
	slices.Sort(found)
	return found
}

func numbers(upTo int) []int {
	want := make([]int, upTo)
	for i := range want {
		want[i] = i + 1
	}
	return want
}

func TestVersionedUpdatesAreValidExpressions(t *testing.T) {
	db := dynamoDBLocal(t)
	o, orderID := outbox.New(db, config), id(t, "o")
	expressions := []string{
		"SET a = :x, b = :x",
		"set\n\ta = :x",
		"REMOVE b SET a = :x",
		"REMOVE #set",
		"ADD seen :x",
		"",
	}
	for i, expression := range expressions {
		update := types.Update{
			TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(orderID)},
			UpdateExpression:         aws.String(expression),
			ConditionExpression:      aws.String("attribute_not_exists(closed) OR closed = :none"),
			ExpressionAttributeNames: map[string]string{},
			ExpressionAttributeValues: dynamotest.Item{
				":none": s(""),
			},
		}
		if strings.Contains(expression, ":x") {
			update.ExpressionAttributeValues[":x"] = n("7")
		}
		if strings.Contains(expression, "#set") {
			update.ExpressionAttributeNames["#set"] = "set"
		}
		tx := o.Begin(t.Context())
		tx.UpdateVersioned(update, "version", int64(i), updated(orderID))
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatalf("%q: %v", expression, err)
		}
	}
	item := read(t, db, orderID)
	if stringOf(item, "version") != strconv.Itoa(len(expressions)) || stringOf(item, "a") != "7" {
		t.Errorf("order: %v", item)
	}
	if got := versions(t, db, orderID); !slices.Equal(got, numbers(len(expressions))) {
		t.Errorf("versions %v", got)
	}
}

func TestOutdatedVersionBringsTheOldItem(t *testing.T) {
	db := dynamoDBLocal(t)
	o, orderID := outbox.New(db, config), id(t, "o")
	var err error
	for range 2 {
		tx := o.Begin(t.Context())
		tx.PutVersioned(types.Put{
			TableName: aws.String(ordersTable), Item: dynamotest.Item{"orderId": s(orderID)},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}, "version", 0, updated(orderID))
		err = tx.Commit(t.Context())
	}
	var failed *outbox.ConditionFailedError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want ErrConditionFailed", err)
	}
	// The event is action 0, its order action 1.
	if action, ok := failed.Action(1); !ok || stringOf(action.Item, "version") != "1" {
		t.Errorf("failed: %+v", failed.Failed)
	}
}

func TestConcurrentWritersGetAllVersions(t *testing.T) {
	db := dynamoDBLocal(t)
	const writers, each = 8, 5
	o, orderID := outbox.New(db, config), id(t, "o")
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for range each {
				tx := o.Begin(t.Context())
				tx.AppendNext(updated(orderID))
				if err := tx.Commit(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if got := versions(t, db, orderID); !slices.Equal(got, numbers(writers*each)) {
		t.Errorf("versions %v", got)
	}
}

// answerless commits and then loses the answer, a number of times.
type answerless struct {
	database
	lose int
}

func (a *answerless) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	out, err := a.database.TransactWriteItems(ctx, in, options...)
	if a.lose > 0 {
		a.lose--
		return nil, errors.New("connection reset by peer")
	}
	return out, err
}

func TestLostAnswersDoubleNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		orderID := id(t, "o")
		if err := write(t, db, "", put(orderID, "")); err != nil {
			t.Fatal(err)
		}
		tx := outbox.New(&answerless{db, 3}, config).Begin(t.Context())
		tx.Update(*increment(orderID).Update)
		tx.AppendNext(updated(orderID))
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := stringOf(read(t, db, orderID), "n"); got != "2" {
			t.Errorf("n = %s, want 2", got)
		}
	})
}

// The item that we call the largest allowed must be that to DynamoDB.
func TestItemSizeIsDynamoDBs(t *testing.T) {
	db := dynamoDBLocal(t)
	const limit = 400 << 10
	for size, fits := range map[int]bool{limit: true, limit + 1: false} {
		orderID := id(t, fmt.Sprint(size))
		item := dynamotest.Item{"orderId": s(orderID), "n": n("12345"), "b": s("")}
		item["b"] = s(strings.Repeat("x", size-len("orderId")-len(orderID)-len("n")-4-len("b")))
		err := write(t, db, "", types.TransactWriteItem{Put: &types.Put{TableName: aws.String(ordersTable), Item: item}})
		if (err == nil) != fits {
			t.Errorf("DynamoDB on an item of %d bytes: %v", size, err)
		}
		tx := outbox.New(dynamotest.New(keys), config).Begin(t.Context())
		tx.Put(types.Put{TableName: aws.String(ordersTable), Item: item})
		if err := tx.Commit(t.Context()); errors.Is(err, outbox.ErrTooLarge) == fits {
			t.Errorf("outbox on an item of %d bytes: %v", size, err)
		}
	}
}

// noQueues refuses everything: the tests below must not need it.
type noQueues struct{}

func (noQueues) SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	return nil, errors.New("not expected")
}

func (noQueues) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func (noQueues) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": "0"}}, nil
}

var notOfAName = regexp.MustCompile(`[^A-Za-z0-9._/-]`)

func store(t testing.TB, db database, log io.Writer) *inbox.Store {
	t.Helper()
	store, err := inbox.New(db, noQueues{}, inbox.Config{
		Table: inboxTable, Consumer: notOfAName.ReplaceAllString(t.Name(), "-"), OriginTable: outboxTable, TTL: time.Hour, QueueURL: "q", DeadLetterQueueURL: "dlq", Outbox: config,
		Logger: slog.New(slog.NewTextHandler(log, nil)), Metrics: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func message(t testing.TB, eventID, orderID string, version int) events.SQSMessage {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"detail-type": "OrderUpdated", "source": "orders",
		"detail": map[string]any{
			"id": eventID, "type": "OrderUpdated", "aggregateType": "Order", "aggregateId": orderID,
			"version": version, "occurredAt": time.Now().UnixMilli(), "data": map[string]any{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return events.SQSMessage{MessageId: eventID, Body: string(body)}
}

// count adds one to the order's n, so that an effect that took place twice shows.
func count(_ context.Context, tx *outbox.Tx, event record.Event) error {
	tx.Update(*increment(event.AggregateID).Update)
	tx.AppendNext(outbox.Event{Type: "Counted", AggregateType: "Order", AggregateID: event.AggregateID})
	return nil
}

// Three invocations at a time get the same three versions of an order, until none of them fails.
func TestConcurrentDuplicatesTakeEffectOnce(t *testing.T) {
	for name, options := range map[string][]inbox.Option{
		"marker":             nil,
		"marker, read first": {inbox.ReadFirst()},
		"order":              {inbox.InOrder()},
		"order, read first":  {inbox.InOrder(), inbox.ReadFirst()},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db database) {
				orderID := id(t, "o")
				if err := write(t, db, "", put(orderID, "")); err != nil {
					t.Fatal(err)
				}
				handler := inbox.Handler(store(t, db, t.Output()), count, options...)
				batch := events.SQSEvent{}
				for _, v := range []int{3, 1, 2} {
					batch.Records = append(batch.Records, message(t, fmt.Sprintf("%s-%d", orderID, v), orderID, v))
				}
				var running sync.WaitGroup
				for range 3 {
					running.Go(func() {
						for {
							response, err := handler(t.Context(), batch)
							if err != nil {
								t.Error(err)
							}
							if len(response.BatchItemFailures) == 0 {
								return
							}
						}
					})
				}
				running.Wait()
				if got := stringOf(read(t, db, orderID), "n"); got != "4" {
					t.Errorf("n = %s after three events, want 1 and 3 more", got)
				}
			})
		})
	}
}

// A consumer meets an order after its version 1: it reads the order's history, waits, and begins.
func TestInOrderJoins(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		orderID := id(t, "o")
		tx := outbox.New(db, config).Begin(t.Context())
		for version := int64(8); version <= 9; version++ {
			event := updated(orderID)
			event.ID, event.Version = fmt.Sprintf("%s-%d", orderID, version), version
			tx.Append(event)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		var effects []int64
		handler := inbox.Handler(store(t, db, t.Output()), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
			effects = append(effects, event.Version)
			return nil
		}, inbox.InOrder(), inbox.ReadFirst(), inbox.GapTimeout(time.Millisecond))
		arrive := func(version int, comesBack bool) {
			t.Helper()
			response, err := handler(t.Context(), events.SQSEvent{Records: []events.SQSMessage{message(t, fmt.Sprintf("%s-%d", orderID, version), orderID, version)}})
			if err != nil || (len(response.BatchItemFailures) > 0) != comesBack {
				t.Errorf("version %d: %+v, %v", version, response, err)
			}
			time.Sleep(2 * time.Millisecond) // longer than the gap timeout
		}
		arrive(9, true)
		arrive(8, false)
		arrive(9, false)
		// Not in the table, so that the consumer cannot know what is to come.
		orderID = id(t, "other")
		arrive(7, true)
		arrive(6, true) // lower
		arrive(7, true)
		arrive(6, false)
		arrive(7, false)
		if want := []int64{8, 9, 6, 7}; !slices.Equal(effects, want) {
			t.Errorf("effects %v, want %v", effects, want)
		}
	})
}

func TestEffectIsClaimedAndMarked(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		effects := 0
		var mu sync.Mutex
		handler := inbox.EffectHandler(store(t, db, t.Output()), func(context.Context, record.Event) error {
			mu.Lock()
			defer mu.Unlock()
			effects++
			return nil
		})
		batch := events.SQSEvent{Records: []events.SQSMessage{message(t, id(t, "e"), "o", 1)}}
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() {
				if _, err := handler(t.Context(), batch); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if response, err := handler(t.Context(), batch); err != nil || len(response.BatchItemFailures) != 0 {
			t.Errorf("a duplicate: %+v, %v", response, err)
		}
		if effects != 1 {
			t.Errorf("%d effects, want 1", effects)
		}
	})
}

// Package consumertest hands a queue's batch to a consumer, as Lambda does, and shows what the consumer
// commits: the inbox and the outbox are the real ones, DynamoDB and SQS take everything and keep it.
package consumertest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The tables of the inbox and the outbox.
const (
	InboxTable  = "inbox"
	OutboxTable = "outbox"
)

// A Result is what became of a batch.
type Result struct {
	// Commits are the transactions, in the order of the messages.
	Commits []Commit
	// Failed are the ids of the messages that come back.
	Failed []string
	// Refused are the reasons with which messages went to the dead-letter queue.
	Refused []string
}

// A Commit is one transaction: its puts, in order.
type Commit []Put

// A Put is an item as it is written, with numbers as float64.
type Put struct {
	Table     string
	Item      map[string]any
	Condition string
}

// To returns the puts to one table.
func (c Commit) To(table string) []Put {
	var found []Put
	for _, p := range c {
		if p.Table == table {
			found = append(found, p)
		}
	}
	return found
}

// Handle runs the batch in a file of testdata through a consumer.
func Handle(t *testing.T, file string, handle func(context.Context, *outbox.Tx, record.Event) error, opts ...inbox.Option) Result {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(raw, &batch); err != nil {
		t.Fatal(err)
	}
	var r Result
	store, err := inbox.New(&table{t, &r}, &queue{&r}, inbox.Config{
		Table: InboxTable, Consumer: "tested", TTL: time.Hour, QueueURL: "queue", DeadLetterQueueURL: "dead",
		Outbox:      outbox.Config{Table: OutboxTable, Source: "orders"},
		Concurrency: 1, Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	response, err := inbox.Handler(store, handle, opts...)(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range response.BatchItemFailures {
		r.Failed = append(r.Failed, f.ItemIdentifier)
	}
	return r
}

// Want fails the test where an item lacks one of the attributes. Further attributes are not looked at.
func Want(t *testing.T, item, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(item[name], value) {
			t.Errorf("%s is %v, want %v in %v", name, item[name], value, item)
		}
	}
}

type table struct {
	t *testing.T
	r *Result
}

func (db *table) TransactWriteItems(_ context.Context, input *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	var commit Commit
	for _, action := range input.TransactItems {
		put := Put{Table: aws.ToString(action.Put.TableName), Condition: aws.ToString(action.Put.ConditionExpression)}
		if err := attributevalue.UnmarshalMap(action.Put.Item, &put.Item); err != nil {
			db.t.Error(err)
		}
		commit = append(commit, put)
	}
	db.r.Commits = append(db.r.Commits, commit)
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

func (*table) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return &dynamodb.QueryOutput{}, nil
}

func (*table) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

type queue struct{ r *Result }

func (q *queue) SendMessage(_ context.Context, input *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.r.Refused = append(q.r.Refused, aws.ToString(input.MessageAttributes[inbox.ReasonAttribute].StringValue))
	return &sqs.SendMessageOutput{}, nil
}

func (*queue) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": "0"}}, nil
}

func (*queue) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

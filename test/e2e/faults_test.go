package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// noted returns a valid order with that note.
func noted(note string) string { return strings.Replace(tea, "ring twice", note, 1) }

// TestPartialFailure replaces publisher two by a function that fails single messages: only those are redelivered. Messages
// become visible again after seconds instead of a minute.
func TestPartialFailure(t *testing.T) {
	run := start(t, patched(t, func(p tmpl) {
		p.replaceFunction("PublisherTwo", "partial")
		// Long enough for the orders of one batch to arrive, and a visibility timeout that covers it.
		p.properties("AWS::Lambda::EventSourceMapping", "PublisherTwo")["MaximumBatchingWindowInSeconds"] = 1
		p.properties("AWS::Lambda::Function", "PublisherTwo")["Timeout"] = 4
		p.properties("AWS::SQS::Queue", "PublisherTwo/Queue")["VisibilityTimeout"] = 5
	}))
	good := []string{post(t, run, noted("first")), "", post(t, run, noted("third"))}
	bad := post(t, run, noted("fail once"))
	good[1] = post(t, run, noted("second"))
	awaitLine(t, run, "PublisherTwo", "event handled", bad)
	if got := len(run.Hops(line(run, "PublisherTwo", "event received", bad))); got != 2 {
		t.Errorf("the failed message was received %d times, want 2", got)
	}
	for _, id := range good {
		awaitLine(t, run, "PublisherTwo", "event handled", id)
	}
	awaitEmpty(t, run, "PublisherTwoQueueUrl")
	for _, id := range good {
		if got := len(run.Hops(line(run, "PublisherTwo", "event received", id))); got != 1 {
			t.Errorf("good message %s was received %d times, want 1", id, got)
		}
	}
	mixed := run.Hops(func(h hop.Hop) bool {
		return h.Stage == hop.Queue && h.Outcome == hop.Retry && h.Count > 1 && strings.Contains(run.Name(h.Resource), "PublisherTwo")
	})
	if len(mixed) == 0 {
		t.Error("the failed message was never in a batch with others: the test has proved nothing")
	}
}

// TestDelivery removes the permission to send to publisher one's queue and writes a record that the pipe cannot deliver.
func TestDelivery(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		policy := p.properties("AWS::SQS::QueuePolicy", "PublisherOne/Queue")["PolicyDocument"].(map[string]any)
		var kept []any
		for _, s := range policy["Statement"].([]any) {
			if s.(map[string]any)["Effect"] != "Allow" {
				kept = append(kept, s)
			}
		}
		policy["Statement"] = kept
		source := p.properties("AWS::Pipes::Pipe", "Outbox")["SourceParameters"].(map[string]any)["DynamoDBStreamParameters"].(map[string]any)
		source["MaximumRetryAttempts"] = 2
		source["MaximumBatchingWindowInSeconds"] = 1
	}))

	t.Run("an event that a rule cannot deliver waits in the rule's dead-letter queue", func(t *testing.T) {
		id := post(t, run, tea)
		deadLetter := receive(t, run, "RuleDeadLetterQueueUrl")
		event, err := record.Decode([]byte(aws.ToString(deadLetter.Body)))
		if err != nil {
			t.Fatal(err)
		}
		if event.AggregateID != id {
			t.Errorf("the dead-letter message is of order %s, want %s", event.AggregateID, id)
		}
		for attribute, says := range map[string]string{"RULE_ARN": "PublisherOne", "TARGET_ARN": "PublisherOneQueue", "ERROR_CODE": "NO_PERMISSIONS"} {
			if got := aws.ToString(deadLetter.MessageAttributes[attribute].StringValue); !strings.Contains(got, says) {
				t.Errorf("%s is %q, want it to name %q", attribute, got, says)
			}
		}
		awaitPublishers(t, run, id, "PublisherTwo")
	})

	t.Run("a poison record is isolated and waits in the pipe's dead-letter queue", func(t *testing.T) {
		before, poison, after := createdItem(t, "before", "c-42"), createdItem(t, "poison", "c-42"), createdItem(t, "after", "c-42")
		delete(poison, record.AttrType) // without it there is no detail-type, which PutEvents refuses
		writeTogether(t, run, before, poison, after)
		awaitPublishers(t, run, "before", "PublisherTwo")
		awaitPublishers(t, run, "after", "PublisherTwo")

		var deadLetter struct {
			Context struct {
				Condition string `json:"condition"`
			} `json:"context"`
			Batch struct {
				ShardID             string
				StartSequenceNumber string
				EndSequenceNumber   string
				BatchSize           int
				StreamArn           string
			} `json:"DDBStreamBatchInfo"`
		}
		body := aws.ToString(receive(t, run, "PipeDeadLetterQueueUrl").Body)
		if err := json.Unmarshal([]byte(body), &deadLetter); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if deadLetter.Batch.BatchSize != 1 || deadLetter.Batch.StartSequenceNumber != deadLetter.Batch.EndSequenceNumber || deadLetter.Context.Condition == "" {
			t.Errorf("the dead-letter message is %s, want one record and a condition", body)
		}
		if strings.Contains(body, "poison") {
			t.Errorf("the dead-letter message %s holds the record; AWS's holds metadata only", body)
		}
		got := streamRecord(t, run, deadLetter.Batch.StreamArn, deadLetter.Batch.ShardID, deadLetter.Batch.StartSequenceNumber)
		if id := got[record.AttrAggregateID].(*streamtypes.AttributeValueMemberS).Value; id != "poison" {
			t.Errorf("the dead-letter message leads to the record of %s, want poison", id)
		}
	})

	t.Run("an outbox item that expires causes no event", func(t *testing.T) {
		item := createdItem(t, "expired", "c-42")
		item[record.AttrExpiresAt] = &types.AttributeValueMemberN{Value: fmt.Sprint(time.Now().Add(-time.Hour).Unix())}
		writeTogether(t, run, item)
		awaitPublishers(t, run, "expired", "PublisherTwo")
		eventually(t, "DynamoDB has deleted the expired item", func(context.Context) bool { return records(t, run, "expired") == 0 })
		// A record after the deletion in the stream has passed the pipe, so the deletion has too.
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherTwo")
		if got := len(run.Hops(logged(run, "PublisherTwo", "expired"))); got != 1 {
			t.Errorf("the publisher received %d events of the item, want the one of its creation", got)
		}
		deleted := run.Hops(func(h hop.Hop) bool {
			return h.Stage == hop.Pipe && h.Outcome != hop.OK && strings.Contains(h.Detail, "expired")
		})
		if len(deleted) != 0 {
			t.Errorf("the deletion reached the pipe's target: %v", deleted)
		}
	})
}

// line returns a filter for the lines with a message about an order from one of the tests' functions.
func line(run *localrun.Run, function, message, order string) func(hop.Hop) bool {
	return func(h hop.Hop) bool {
		return h.Stage == hop.Function && strings.Contains(run.Name(h.Resource), function) &&
			strings.Contains(h.Detail, message) && strings.Contains(h.Detail, `"`+order+`-1"`)
	}
}

func awaitLine(t *testing.T, run *localrun.Run, function, message, order string) {
	t.Helper()
	if _, err := run.Wait(within(t), 1, line(run, function, message, order)); err != nil {
		t.Fatalf("%s did not log %q about order %s: %v", function, message, order, err)
	}
}

// eventually waits for a state that no event announces: it checks again and again.
func eventually(t *testing.T, what string, holds func(context.Context) bool) {
	t.Helper()
	ctx := within(t)
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("this did not happen in time: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writeTogether puts items into the outbox in one transaction.
func writeTogether(t *testing.T, run *localrun.Run, items ...map[string]types.AttributeValue) {
	t.Helper()
	var puts []types.TransactWriteItem
	for _, item := range items {
		puts = append(puts, types.TransactWriteItem{Put: &types.Put{TableName: aws.String(run.Summary.Outputs["OutboxTableName"]), Item: item}})
	}
	if _, err := run.Cloud().DynamoDB().TransactWriteItems(within(t), &dynamodb.TransactWriteItemsInput{TransactItems: puts}); err != nil {
		t.Fatal(err)
	}
}

// streamRecord reads one record from the stream, as a person does with a dead-letter message of the pipe.
func streamRecord(t *testing.T, run *localrun.Run, stream, shard, sequence string) map[string]streamtypes.AttributeValue {
	t.Helper()
	ctx := within(t)
	iterator, err := run.Cloud().Streams().GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &stream, ShardId: &shard, SequenceNumber: &sequence, ShardIteratorType: streamtypes.ShardIteratorTypeAtSequenceNumber,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Cloud().Streams().GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator.ShardIterator, Limit: aws.Int32(1)})
	if err != nil || len(out.Records) == 0 {
		t.Fatalf("read record %s of shard %s: %v", sequence, shard, err)
	}
	return out.Records[0].Dynamodb.NewImage
}

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestTheCommandOnARunningStack: it finds everything by the stack's name, moves what it can, and ends with 1 while something
// is left.
func TestTheCommandOnARunningStack(t *testing.T) {
	t.Parallel()
	run := start(t, assembly)

	t.Run("a message that somebody has looked at", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne")
		deliver(t, run, "PublisherOneDeadLetterQueueUrl", eventOf(t, run, id), 1)
		take(t, run, "PublisherOneDeadLetterQueueUrl", 1) // SQS's count is 0 from now on, a second later it is visible again
		expectOutcome(t, run, 0, "PublisherOne: 1 redriven, 0 kept, 0 still in flight", "dead-letters", "redrive", "--consumer", "PublisherOne", "--yes")
		if _, err := run.Wait(within(t), 2, logged(run, "PublisherOne", id)); err != nil {
			t.Errorf("the consumer did not get the event once more: %v", err)
		}
	})

	t.Run("a message that somebody holds", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne")
		deliver(t, run, "PublisherOneDeadLetterQueueUrl", eventOf(t, run, id), 1)
		take(t, run, "PublisherOneDeadLetterQueueUrl", 600)
		expectOutcome(t, run, 1, "1 more are hidden or were not looked at", "dead-letters", "redrive", "--consumer", "PublisherOne", "--yes")
		expectOutcome(t, run, 0, "looked at 0 of about 1 messages", "dead-letters", "list")
		expectOutcome(t, run, 1, "holds 1 more", "dead-letters", "redrive", "--yes")
	})

	t.Run("an event that EventBridge could not decrypt", func(t *testing.T) {
		deliver(t, run, "RuleDeadLetterQueueUrl", `{"source":"aws.events","detail-type":"Encrypted Events","detail":{"kms-key-arn":"arn:aws:kms:key","encrypted-payload":"AgR4"}}`, 1)
		expectOutcome(t, run, 1, "arn:aws:kms:key", "dead-letters", "redrive", "--reason", "no error code", "--yes")
		var list struct {
			Messages []struct{ Kind, MessageID string }
		}
		fromJSON(t, run, &list, "dead-letters", "list", "--reason", "no error code")
		if len(list.Messages) != 1 || list.Messages[0].Kind != "rule" {
			t.Fatalf("the list is %+v, want the one of the rules", list)
		}
		id := list.Messages[0].MessageID
		expectOutcome(t, run, 0, `"encrypted-payload": "AgR4"`, "dead-letters", "show", id)
		save := filepath.Join(t.TempDir(), "copies.jsonl")
		expectOutcome(t, run, 0, "rules: 1 discarded", "dead-letters", "discard", "--id", id, "--save", save, "--yes")
		expectOutcome(t, run, 1, `no message with id "`+id, "dead-letters", "show", id) // PublisherOne's is still held
		if text, err := os.ReadFile(save); err != nil || !strings.Contains(string(text), "AgR4") {
			t.Errorf("the copy is %s (%v)", text, err)
		}
	})

	t.Run("a replay", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne", "PublisherTwo")
		expectOutcome(t, run, 0, "1 OrderCreated", "replay", "--consumer", "PublisherOne", "--aggregate", "Order#"+id, "--yes")
		if _, err := run.Wait(within(t), 2, logged(run, "PublisherOne", id)); err != nil {
			t.Errorf("the consumer did not get the event once more: %v", err)
		}
	})

	t.Run("a paused consumer", func(t *testing.T) {
		expectOutcome(t, run, 0, "consumer PublisherOne is Disabled", "pause", "--consumer", "PublisherOne", "--yes")
		id := post(t, run, tea)
		eventually(t, "the event waits in the queue", func(ctx context.Context) bool { return visible(ctx, t, run, "PublisherOneQueueUrl") == "1" })
		expectOutcome(t, run, 0, "consumer PublisherOne is Enabled", "resume", "--consumer", "PublisherOne", "--yes")
		awaitPublishers(t, run, id, "PublisherOne")
	})

	t.Run("a paused pipe", func(t *testing.T) {
		expectOutcome(t, run, 0, "the pipe is STOPPED", "pause", "--pipe", "--yes")
		id := post(t, run, tea)
		expectOutcome(t, run, 0, "the pipe is RUNNING", "resume", "--pipe", "--yes")
		awaitPublishers(t, run, id, "PublisherOne", "PublisherTwo")
	})
}

// eventOf is the message body of an order's first event.
func eventOf(t *testing.T, run *localrun.Run, order string) string {
	t.Helper()
	return envelope(t, query(within(t), t, run, "OutboxTableName", record.AttrPK, "Order#"+order)[0])
}

// visible returns how many messages of the queue of an output are visible.
func visible(ctx context.Context, t *testing.T, run *localrun.Run, output string) string {
	t.Helper()
	out, err := run.Cloud().SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(run.Summary.Outputs[output]), AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"]
}

// expectOutcome runs the command on the run's stack.
func expectOutcome(t *testing.T, run *localrun.Run, code int, says string, args ...string) {
	t.Helper()
	operate(t, run, args[0], args[1:]...).check(t, code, says)
}

// fromJSON runs the command on the run's stack and decodes what it prints.
func fromJSON(t *testing.T, run *localrun.Run, into any, args ...string) {
	t.Helper()
	said := operate(t, run, args[0], append(args[1:], "--json")...)
	if err := json.Unmarshal([]byte(said.out), into); err != nil {
		t.Fatalf("%v: %s%s", err, said.out, said.err)
	}
}

// take receives a message and hides it for some seconds.
func take(t *testing.T, run *localrun.Run, output string, hidden int32) {
	t.Helper()
	out, err := run.Cloud().SQS().ReceiveMessage(within(t), &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(run.Summary.Outputs[output]), VisibilityTimeout: hidden, WaitTimeSeconds: 5,
	})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("take a message from %s: %v, %d messages", output, err, len(out.Messages))
	}
}

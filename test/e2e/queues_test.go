package e2e

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// receive waits for a message in the queue of an output, deletes it and returns it.
func receive(t *testing.T, run *localrun.Run, output string) sqstypes.Message {
	t.Helper()
	queue := run.Summary.Outputs[output]
	ctx := within(t)
	for {
		out, err := run.Cloud().SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queue, WaitTimeSeconds: 20, MaxNumberOfMessages: 1, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			t.Fatalf("receive from %s: %v", output, err)
		}
		if len(out.Messages) == 0 {
			continue
		}
		if _, err := run.Cloud().SQS().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		return out.Messages[0]
	}
}

// awaitEmpty waits until the queue of an output has no message, visible or in flight.
func awaitEmpty(t *testing.T, run *localrun.Run, output string) {
	t.Helper()
	queue := run.Summary.Outputs[output]
	eventually(t, output+" is empty", func(ctx context.Context) bool {
		out, err := run.Cloud().SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl:       &queue,
			AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"] == "0" && out.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
	})
}

// deliver sends a message n times in one request to the queue of an output.
func deliver(t *testing.T, run *localrun.Run, output, body string, n int) {
	t.Helper()
	var entries []sqstypes.SendMessageBatchRequestEntry
	for i := range n {
		entries = append(entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(string(rune('a' + i))), MessageBody: &body})
	}
	out, err := run.Cloud().SQS().SendMessageBatch(within(t), &sqs.SendMessageBatchInput{
		QueueUrl: aws.String(run.Summary.Outputs[output]), Entries: entries,
	})
	if err != nil || len(out.Failed) != 0 {
		t.Fatalf("send to %s: %v, %v", output, err, out)
	}
}

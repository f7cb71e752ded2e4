package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestRedriveCommand: the command moves what it can, says why it keeps the rest, and ends with 1 while something is left.
func TestRedriveCommand(t *testing.T) {
	t.Parallel()
	run := start(t, assembly)
	consumer := []string{
		"consumer", "--dlq", run.Summary.Outputs["PublisherOneDeadLetterQueueUrl"],
		"--queue", run.Summary.Outputs["PublisherOneQueueUrl"], "--memory", "23d",
	}

	t.Run("a message that somebody has looked at", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne")
		deliver(t, run, "PublisherOneDeadLetterQueueUrl", envelope(t, query(within(t), t, run, "OutboxTableName", record.AttrPK, "Order#"+id)[0]), 1)
		take(t, run, "PublisherOneDeadLetterQueueUrl", 1) // SQS's count is 0 from now on, a second later it is visible again
		out, code := redriveWith(t, run, consumer...)
		if code != 0 || !strings.HasPrefix(out, "1 redriven, 0 kept, 0 still in flight\n") {
			t.Fatalf("exit code %d and %q", code, out)
		}
		if _, err := run.Wait(within(t), 2, logged(run, "PublisherOne", id)); err != nil {
			t.Errorf("the consumer did not get the event once more: %v", err)
		}
	})

	t.Run("a message that somebody holds", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne")
		deliver(t, run, "PublisherOneDeadLetterQueueUrl", envelope(t, query(within(t), t, run, "OutboxTableName", record.AttrPK, "Order#"+id)[0]), 1)
		take(t, run, "PublisherOneDeadLetterQueueUrl", 600)
		out, code := redriveWith(t, run, consumer...)
		if code != 1 || !strings.HasPrefix(out, "0 redriven, 0 kept, 1 still in flight\n") || !strings.Contains(out, "holds 1 more") {
			t.Errorf("exit code %d and %q, want 1 and what is left", code, out)
		}
	})

	t.Run("an event that EventBridge could not decrypt", func(t *testing.T) {
		deliver(t, run, "RuleDeadLetterQueueUrl", `{"source":"aws.events","detail-type":"Encrypted Events","detail":{"kms-key-arn":"arn:aws:kms:key","encrypted-payload":"AgR4"}}`, 1)
		out, code := redriveWith(t, run, "rule", "--dlq", run.Summary.Outputs["RuleDeadLetterQueueUrl"])
		if code != 1 || !strings.HasPrefix(out, "0 redriven, 1 kept, 0 still in flight\n") || !strings.Contains(out, "arn:aws:kms:key") {
			t.Errorf("exit code %d and %q, want 1 and the reason", code, out)
		}
	})
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

// redriveWith runs the command against the local run and returns all that it said, and its exit code.
func redriveWith(t *testing.T, run *localrun.Run, args ...string) (said string, code int) {
	t.Helper()
	cmd := exec.CommandContext(within(t), binary, append([]string{"redrive"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION="+run.Summary.Region)
	for _, e := range run.Summary.Endpoints {
		cmd.Env = append(cmd.Env, "AWS_ENDPOINT_URL_"+string(e.Service)+"="+e.URL)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

var pipeDeadLetterCheck = Check{
	Number: 6, Title: "a dead-letter message of the pipe, redriven",
	Does: "puts a policy on the bus that refuses one detail type of the check's own, commits 1 event of it, removes the policy, redrives",
	Open: "the message's fields and its condition; how long Pipes' tries take, and whether other events wait meanwhile",

	Minutes: 15, Dollars: 0.002, run: pipeDeadLetter,
}

func pipeDeadLetter(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	kind := smokeType + "Refused" + j.id
	if err := j.refuseDetailType(ctx, kind); err != nil {
		return err
	}
	began := time.Now()
	id, err := j.writeOne(ctx, t, kind, "refused", map[string]int{"n": 1})
	if err != nil {
		return err
	}
	dead, err := j.awaitDeadLetter(ctx, id)
	if err != nil {
		if len(t.messages[id]) > 0 {
			j.see("the bus took the event all the same")
		}
		return err
	}
	j.see("in the queue after %s: `%s`", time.Since(began).Round(time.Second), dead.body)
	j.formOfDeadLetter(dead.body)
	if err := j.expectEffects(ctx, t.consumer, id, " before the redrive", 0); err != nil {
		return err
	}
	if left := j.cleanups.run(ctx, j.Dialog); len(left) > 0 {
		return fmt.Errorf("allow the detail type again: %s", strings.Join(left, "; "))
	}
	if err := j.redrivePipe(ctx, dead); err != nil {
		return err
	}
	if _, err := j.arrives(ctx, t.consumer, id); err != nil {
		return err
	}
	return j.onlyOneEffect(ctx, t.consumer, id)
}

// onlyOneEffect checks that the event had one effect, also when it is delivered once more.
func (j *job) onlyOneEffect(ctx context.Context, c *consumer, id string) error {
	if err := j.expectEffects(ctx, c, id, "", 1); err != nil {
		return err
	}
	body := c.messages[id][0].body
	if _, err := j.Clients.Queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &c.queue.url, MessageBody: &body}); err != nil {
		return fmt.Errorf("deliver it once more: %w", err)
	}
	came := len(c.messages[id])
	if err := j.await(ctx, "event "+id+" comes once more", func() (bool, error) {
		err := j.take(ctx, c)
		return len(c.messages[id]) > came, err
	}); err != nil {
		return err
	}
	j.see("%d deliveries", len(c.messages[id]))
	return j.expectEffects(ctx, c, id, " after another delivery", 1)
}

// denialPrefix is what the statements begin with that checks put into the policy of a bus.
const denialPrefix = "OutboxSmoke"

// refuseDetailType lets the bus refuse events of the type, in the pipe's requests too, until the check is done.
// Source: EventBridge user guide, policy-keys-eventbridge (events:detail-type).
func (j *job) refuseDetailType(ctx context.Context, kind string) error {
	bus, err := j.Clients.Buses.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &j.Outbox.Bus})
	if err != nil {
		return fmt.Errorf("read the policy of bus %s: %w", j.Outbox.Bus, err)
	}
	before := aws.ToString(bus.Policy)
	policy, err := withDenial(before, map[string]any{
		"Sid": denialPrefix + j.id, "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": aws.ToString(bus.Arn),
		"Condition": map[string]any{"StringEquals": map[string]string{"events:detail-type": kind}},
	})
	if err != nil {
		return err
	}
	j.cleanups.add("the denial "+denialPrefix+j.id+" in the policy of bus "+j.Outbox.Bus, func(ctx context.Context) error {
		if before != "" {
			_, err := j.Clients.Buses.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: &j.Outbox.Bus, Policy: &before})
			return err
		}
		_, err := j.Clients.Buses.RemovePermission(ctx, &eventbridge.RemovePermissionInput{EventBusName: &j.Outbox.Bus, RemoveAllPermissions: true})
		if hasCode(err, "ResourceNotFoundException") {
			return nil // it was never set
		}
		return err
	})
	if _, err := j.Clients.Buses.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: &j.Outbox.Bus, Policy: &policy}); err != nil {
		return fmt.Errorf("let bus %s refuse the check's events: %w", j.Outbox.Bus, err)
	}
	return j.await(ctx, "bus "+j.Outbox.Bus+" refuses the check's events", func() (bool, error) { return j.isRefused(ctx, kind) })
}

// isRefused reports whether the bus refuses an event of the type: a policy takes a while to hold everywhere.
func (r *Runner) isRefused(ctx context.Context, kind string) (bool, error) {
	out, err := r.Clients.Buses.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []bustypes.PutEventsRequestEntry{{
		EventBusName: &r.Outbox.Bus, Source: aws.String(probeSource), DetailType: &kind, Detail: aws.String("{}"),
	}}})
	if err != nil {
		if hasCode(err, "AccessDeniedException", "AccessDenied") {
			return true, nil
		}
		return false, fmt.Errorf("put an event onto bus %s: %w", r.Outbox.Bus, err)
	}
	return out.FailedEntryCount > 0, nil
}

// withDenial returns a policy with one more statement.
func withDenial(policy string, statement map[string]any) (string, error) {
	document := map[string]any{"Version": "2012-10-17"}
	if policy != "" {
		if err := json.Unmarshal([]byte(policy), &document); err != nil {
			return "", fmt.Errorf("read the policy of the bus: %w", err)
		}
	}
	statements, isList := document["Statement"].([]any)
	if one, isOne := document["Statement"].(map[string]any); !isList && isOne {
		statements = []any{one}
	}
	document["Statement"] = append(statements, statement)
	raw, err := json.Marshal(document)
	return string(raw), err
}

// formOfDeadLetter checks what the redrive and the lists read of the message.
// Source: Lambda developer guide, services-dynamodb-errors; EventBridge user guide, eb-pipes-error-troubleshooting.
func (f *findings) formOfDeadLetter(body string) {
	var message struct {
		Context map[string]any `json:"context"`
		Batch   map[string]any `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(body), &message); err != nil {
		f.fail("the message is no JSON: %v", err)
		return
	}
	for _, name := range []string{"shardId", "startSequenceNumber", "endSequenceNumber", "batchSize", "streamArn", "approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"} {
		if message.Batch[name] == nil {
			f.fail("DDBStreamBatchInfo has no %s", name)
		}
	}
	if condition, _ := message.Context["condition"].(string); condition != "RetryAttemptsExhausted" {
		f.differ("the condition is %q, and the local run says RetryAttemptsExhausted; nothing depends on it", condition)
	}
}

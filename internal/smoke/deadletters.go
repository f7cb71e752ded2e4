package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A deadLetter is a message of the pipe's dead-letter queue that stands for an event of the run's.
type deadLetter struct {
	id, body string
	redriven bool
}

func (r *Runner) redriver() *redrive.Redriver {
	return redrive.New(redrive.Clients{SQS: r.Clients.Queues, EventBridge: r.Clients.Buses, Streams: r.Clients.Streams, DynamoDB: r.Clients.Tables})
}

func (r *Runner) pipeTarget() redrive.PipeTarget {
	return redrive.PipeTarget{Bus: r.Outbox.Bus, OutboxTable: r.Outbox.Table, Source: r.Outbox.Source}
}

// deadLetterOf looks for the event in the pipe's dead-letter queue, and gives back what it received. It returns nil where the
// event is not among them.
func (r *Runner) deadLetterOf(ctx context.Context, event string) (*deadLetter, error) {
	url := r.Outbox.PipeDeadLetterQueue
	out, err := r.Clients.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 20, WaitTimeSeconds: 1})
	if err != nil {
		return nil, fmt.Errorf("look into the pipe's dead-letter queue: %w", err)
	}
	var found *deadLetter
	for _, m := range out.Messages {
		items, err := r.redriver().Events(ctx, aws.ToString(m.Body), r.pipeTarget())
		for _, it := range items {
			if textOf(it, record.AttrID) == event {
				found = &deadLetter{id: aws.ToString(m.MessageId), body: aws.ToString(m.Body)}
			}
		}
		if err != nil {
			r.Dialog.Say("     a message of the pipe's dead-letter queue cannot be read: %v", err)
		}
		if _, err := r.Clients.Queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}); err != nil {
			return nil, fmt.Errorf("give a message back to the pipe's dead-letter queue: %w", err)
		}
	}
	if found != nil {
		r.cleanups.add("message "+found.id+" in the pipe's dead-letter queue", found.discard(r))
	}
	return found, nil
}

// only selects the one message.
func (d *deadLetter) only() redrive.Selection {
	return redrive.Selection{Match: func(m sqstypes.Message) bool { return aws.ToString(m.MessageId) == d.id }}
}

// discard returns what removes the message at the end, where it was not redriven.
func (d *deadLetter) discard(r *Runner) func(context.Context) error {
	return func(ctx context.Context) error {
		if d.redriven {
			return nil
		}
		_, err := r.redriver().Selecting(d.only()).Discard(ctx, r.Outbox.PipeDeadLetterQueue, func(context.Context, sqstypes.Message) error { return nil })
		return err
	}
}

// awaitDeadLetter waits until the event is in the pipe's dead-letter queue.
func (r *Runner) awaitDeadLetter(ctx context.Context, event string) (dead *deadLetter, err error) {
	err = r.await(ctx, "event "+event+" is in the pipe's dead-letter queue", func() (bool, error) {
		dead, err = r.deadLetterOf(ctx, event)
		return dead != nil, err
	})
	return dead, err
}

// redrivePipe redrives the one message, until the bus takes its event.
func (r *Runner) redrivePipe(ctx context.Context, dead *deadLetter) error {
	var kept error
	err := r.await(ctx, "the dead-letter message is redriven", func() (bool, error) {
		report, err := r.redriver().Selecting(dead.only()).Pipe(ctx, r.Outbox.PipeDeadLetterQueue, r.pipeTarget())
		for _, k := range report.Kept {
			kept = k.Err
		}
		dead.redriven = dead.redriven || report.Redriven > 0
		return dead.redriven, err
	})
	if err != nil {
		return errors.Join(err, kept)
	}
	return nil
}

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

// refuseDetailType lets the bus refuse events of the type, in the pipe's requests too, until the check is done.
// Source: EventBridge user guide, policy-keys-eventbridge (events:detail-type).
func (j *job) refuseDetailType(ctx context.Context, kind string) error {
	bus, err := j.Clients.Buses.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &j.Outbox.Bus})
	if err != nil {
		return fmt.Errorf("read the policy of bus %s: %w", j.Outbox.Bus, err)
	}
	before := aws.ToString(bus.Policy)
	policy, err := withDenial(before, map[string]any{
		"Sid": "OutboxSmoke" + j.id, "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": aws.ToString(bus.Arn),
		"Condition": map[string]any{"StringEquals": map[string]string{"events:detail-type": kind}},
	})
	if err != nil {
		return err
	}
	j.cleanups.add("the denial OutboxSmoke"+j.id+" in the policy of bus "+j.Outbox.Bus, func(ctx context.Context) error {
		if before != "" {
			_, err := j.Clients.Buses.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: &j.Outbox.Bus, Policy: &before})
			return err
		}
		_, err := j.Clients.Buses.RemovePermission(ctx, &eventbridge.RemovePermissionInput{EventBusName: &j.Outbox.Bus, RemoveAllPermissions: true})
		return err
	})
	if _, err := j.Clients.Buses.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: &j.Outbox.Bus, Policy: &policy}); err != nil {
		return fmt.Errorf("let bus %s refuse the check's events: %w", j.Outbox.Bus, err)
	}
	return nil
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
func (j *job) formOfDeadLetter(body string) {
	var message struct {
		Context map[string]any `json:"context"`
		Batch   map[string]any `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(body), &message); err != nil {
		j.fail("the message is no JSON: %v", err)
		return
	}
	for _, name := range []string{"shardId", "startSequenceNumber", "endSequenceNumber", "batchSize", "streamArn", "approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"} {
		if message.Batch[name] == nil {
			j.fail("DDBStreamBatchInfo has no %s", name)
		}
	}
	if condition, _ := message.Context["condition"].(string); condition != "RetryAttemptsExhausted" {
		j.differ("the condition is %q, and the local run says RetryAttemptsExhausted; nothing depends on it", condition)
	}
}

var ruleDeadLetterCheck = Check{
	Number: 7, Title: "a dead-letter message of a rule, redriven",
	Does: "makes a temporary rule whose queue refuses the bus, commits 1 event, redrives it from the rule's dead-letter queue",
	Open: "whether EventBridge notes all attributes on the message, and whether it tries again when it has no permission",

	Minutes: 2, Dollars: 0.001, run: ruleDeadLetter,
}

// ruleAttributes are those that a message of a rule has. Source: EventBridge user guide, eb-rule-dlq.
var ruleAttributes = []string{"RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE"}

func ruleDeadLetter(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	closed, err := j.newQueue(ctx, &j.cleanups, "closed")
	if err != nil {
		return err
	}
	dead, err := j.newQueue(ctx, &j.cleanups, "dead-letters")
	if err != nil {
		return err
	}
	aggregate := "undeliverable"
	rule, arn, err := j.newRule(ctx, &j.cleanups, "closed", j.pattern(t.aggregateType, &aggregate))
	if err != nil {
		return err
	}
	if err := j.letIn(ctx, dead, "events.amazonaws.com", arn); err != nil {
		return err
	}
	if err := j.target(ctx, &j.cleanups, rule, closed, &dead); err != nil {
		return err
	}
	if err := j.probe(ctx, t.aggregateType, aggregate, func(string) (bool, error) {
		m, err := j.noted(ctx, dead, probeSource)
		return m != nil, err
	}); err != nil {
		return err
	}
	id, err := j.writeOne(ctx, t, smokeType, aggregate, map[string]int{"n": 1})
	if err != nil {
		return err
	}
	began := time.Now()
	var m *sqstypes.Message
	if err := j.await(ctx, "the event is in the rule's dead-letter queue", func() (bool, error) {
		m, err = j.noted(ctx, dead, id)
		return m != nil, err
	}); err != nil {
		return err
	}
	for _, name := range ruleAttributes {
		if aws.ToString(m.MessageAttributes[name].StringValue) == "" {
			j.fail("the message has no attribute %s", name)
		}
	}
	expect(&j.findings, "TARGET_ARN", aws.ToString(m.MessageAttributes["TARGET_ARN"].StringValue), closed.arn)
	var noted []string
	for _, name := range slices.Sorted(maps.Keys(m.MessageAttributes)) {
		noted = append(noted, name+"="+aws.ToString(m.MessageAttributes[name].StringValue))
	}
	j.see("in the queue after %s, with %s", time.Since(began).Round(time.Second), strings.Join(noted, ", "))
	return j.redriveRule(ctx, closed, dead, id)
}

// noted looks for a message with the text, and gives back what it received. It returns nil where there is none.
func (r *Runner) noted(ctx context.Context, q queue, text string) (*sqstypes.Message, error) {
	out, err := r.Clients.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: 10, VisibilityTimeout: 1, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from queue %s: %w", q.name, err)
	}
	for i := range out.Messages {
		if strings.Contains(aws.ToString(out.Messages[i].Body), text) {
			return &out.Messages[i], nil
		}
	}
	return nil, nil
}

// redriveRule redrives the event to the queue that it was for, and checks its one effect.
func (j *job) redriveRule(ctx context.Context, to, dead queue, id string) error {
	c, err := j.newConsumer(&j.cleanups, "closed", to)
	if err != nil {
		return err
	}
	only := redrive.Selection{Match: func(m sqstypes.Message) bool { return strings.Contains(aws.ToString(m.Body), id) }}
	if err := j.await(ctx, "the rule's dead-letter message is redriven", func() (bool, error) {
		report, err := j.redriver().Selecting(only).Rule(ctx, dead.url)
		return report.Redriven > 0, err
	}); err != nil {
		return err
	}
	if _, err := j.arrives(ctx, c, id); err != nil {
		return err
	}
	return j.onlyOneEffect(ctx, c, id)
}

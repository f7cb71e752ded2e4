package smoke

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

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
	j.checkRuleMessage(m, closed.arn)
	j.see("in the queue after %s", time.Since(began).Round(time.Second))
	return j.redriveRule(ctx, closed, dead, id)
}

// checkRuleMessage checks what EventBridge noted on the message of an event that it could not deliver to the target.
func (f *findings) checkRuleMessage(m *sqstypes.Message, target string) {
	for _, name := range ruleAttributes {
		if aws.ToString(m.MessageAttributes[name].StringValue) == "" {
			f.fail("the message has no attribute %s", name)
		}
	}
	expect(f, "TARGET_ARN", aws.ToString(m.MessageAttributes["TARGET_ARN"].StringValue), target)
	var noted []string
	for _, name := range slices.Sorted(maps.Keys(m.MessageAttributes)) {
		noted = append(noted, name+"="+aws.ToString(m.MessageAttributes[name].StringValue))
	}
	f.see("it has %s", strings.Join(noted, ", "))
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

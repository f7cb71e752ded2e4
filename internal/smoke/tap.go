package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A queue is a temporary one.
type queue struct{ name, url, arn string }

// newQueue makes a queue that is removed with the cleanups.
func (r *Runner) newQueue(ctx context.Context, of *cleanups, what string) (queue, error) {
	q := queue{name: r.name(what)}
	made, err := r.Clients.Queues.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &q.name, Attributes: map[string]string{"MessageRetentionPeriod": "86400", "SqsManagedSseEnabled": "true", "VisibilityTimeout": "30"},
	})
	if err != nil {
		return q, fmt.Errorf("make queue %s: %w", q.name, err)
	}
	q.url = aws.ToString(made.QueueUrl)
	of.add("queue "+q.name, func(ctx context.Context) error {
		_, err := r.Clients.Queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &q.url})
		return err
	})
	attributes, err := r.Clients.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return q, fmt.Errorf("look at queue %s: %w", q.name, err)
	}
	q.arn = attributes.Attributes[string(sqstypes.QueueAttributeNameQueueArn)]
	return q, nil
}

// letIn lets a service send to the queue on behalf of a rule or a topic.
func (r *Runner) letIn(ctx context.Context, q queue, service, source string) error {
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": service}, "Action": "sqs:SendMessage", "Resource": q.arn,
		"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": source}},
	}}})
	if err != nil {
		return err
	}
	if _, err := r.Clients.Queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &q.url, Attributes: map[string]string{"Policy": string(policy)},
	}); err != nil {
		return fmt.Errorf("let %s send to queue %s: %w", service, q.name, err)
	}
	return nil
}

// newRule makes a rule on the outbox's bus that is removed with the cleanups, and returns its ARN.
func (r *Runner) newRule(ctx context.Context, of *cleanups, what string, pattern map[string]any) (name, arn string, err error) {
	name = r.name(what)
	text, err := json.Marshal(pattern)
	if err != nil {
		return "", "", err
	}
	made, err := r.Clients.Buses.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: &r.Outbox.Bus, EventPattern: aws.String(string(text))})
	if err != nil {
		return "", "", fmt.Errorf("make rule %s: %w", name, err)
	}
	of.add("rule "+name+" on bus "+r.Outbox.Bus, func(ctx context.Context) error {
		_, err := r.Clients.Buses.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name, EventBusName: &r.Outbox.Bus})
		return err
	})
	return name, aws.ToString(made.RuleArn), nil
}

// target makes the queue the rule's target, with a dead-letter queue where there is one.
func (r *Runner) target(ctx context.Context, of *cleanups, rule string, to queue, deadLetters *queue) error {
	t := bustypes.Target{Id: aws.String("queue"), Arn: &to.arn}
	if deadLetters != nil {
		t.DeadLetterConfig = &bustypes.DeadLetterConfig{Arn: &deadLetters.arn}
	}
	out, err := r.Clients.Buses.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &rule, EventBusName: &r.Outbox.Bus, Targets: []bustypes.Target{t}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("%s: %s", aws.ToString(out.FailedEntries[0].ErrorCode), aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
	if err != nil {
		return fmt.Errorf("give rule %s its target: %w", rule, err)
	}
	of.add("the target of rule "+rule, func(ctx context.Context) error {
		_, err := r.Clients.Buses.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &rule, EventBusName: &r.Outbox.Bus, Ids: []string{"queue"}})
		return err
	})
	return nil
}

// A tap is a rule on the bus for what this run writes, and its consumer. All checks share it.
type tap struct {
	*consumer
	aggregateType string
}

// probeSource is the source of events with which the run finds out whether its rules are active: EventBridge takes a while.
// Source: EventBridge API reference, PutRule ("allow a short period of time for changes to take effect").
const probeSource = "outbox-smoke-probe"

// tap returns the tap. The first call makes it and waits until it is active.
func (r *Runner) tap(ctx context.Context) (*tap, error) {
	if r.shared != nil {
		return r.shared, nil
	}
	aggregateType := "OutboxSmoke" + r.id
	if err := r.mayWrite(aggregateType); err != nil {
		return nil, err
	}
	q, err := r.newQueue(ctx, &r.cleanups, "tap")
	if err != nil {
		return nil, err
	}
	rule, arn, err := r.newRule(ctx, &r.cleanups, "tap", r.pattern(aggregateType, nil))
	if err != nil {
		return nil, err
	}
	if err := r.letIn(ctx, q, "events.amazonaws.com", arn); err != nil {
		return nil, err
	}
	if err := r.target(ctx, &r.cleanups, rule, q, nil); err != nil {
		return nil, err
	}
	c, err := r.newConsumer(&r.cleanups, "tap", q)
	if err != nil {
		return nil, err
	}
	made := &tap{c, aggregateType}
	if err := r.probe(ctx, aggregateType, "probe", func(id string) (bool, error) {
		return len(c.messages[id]) > 0, r.take(ctx, c)
	}); err != nil {
		return nil, err
	}
	r.shared = made
	return made, nil
}

// pattern returns the pattern of a rule for what this run writes: of all aggregates, or of one.
func (r *Runner) pattern(aggregateType string, aggregate *string) map[string]any {
	detail := map[string]any{"aggregateType": []string{aggregateType}}
	if aggregate != nil {
		detail["aggregateId"] = []string{*aggregate}
	}
	return map[string]any{"source": []string{r.Outbox.Source, probeSource}, "detail": detail}
}

// probe puts events right onto the bus until one has passed a new rule.
func (r *Runner) probe(ctx context.Context, aggregateType, aggregate string, passed func(id string) (bool, error)) error {
	n, last, id := 0, time.Time{}, ""
	return r.await(ctx, "a new rule on bus "+r.Outbox.Bus+" is active", func() (bool, error) {
		if time.Since(last) > probeEvery {
			n, last = n+1, time.Now()
			id = fmt.Sprintf("probe-%s-%s-%d", r.id, aggregate, n)
			if err := r.putProbe(ctx, aggregateType, aggregate, id); err != nil {
				return false, err
			}
		}
		return passed(id)
	})
}

const probeEvery = 3 * time.Second

func (r *Runner) putProbe(ctx context.Context, aggregateType, aggregate, id string) error {
	detail, err := json.Marshal(map[string]any{
		"id": id, "type": "Probe", "aggregateType": aggregateType, "aggregateId": aggregate, "version": "1",
		"occurredAt": fmt.Sprint(time.Now().UnixMilli()), "data": map[string]any{},
	})
	if err != nil {
		return err
	}
	out, err := r.Clients.Buses.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []bustypes.PutEventsRequestEntry{{
		EventBusName: &r.Outbox.Bus, Source: aws.String(probeSource), DetailType: aws.String("Probe"), Detail: aws.String(string(detail)),
	}}})
	if err == nil && out.FailedEntryCount > 0 {
		err = errors.New(aws.ToString(out.Entries[0].ErrorMessage))
	}
	if err != nil {
		return fmt.Errorf("put an event onto bus %s: %w", r.Outbox.Bus, err)
	}
	return nil
}

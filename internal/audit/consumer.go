package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// ruleIsActive is how long after the creation of a consumer's queue its rule counts as not active yet: CloudFormation makes
// the rule after the queue, and EventBridge needs a moment to act on it. What is written meanwhile may have passed it.
const ruleIsActive = 5 * time.Minute

// A Consumer is one whose effects can be looked for: it has an inbox.
type Consumer struct {
	description.Consumer
	// Since is from when on an event that the pattern matches is the consumer's; the zero time: always.
	Since time.Time

	pattern *pattern.Pattern
}

// Consumers are those of one outbox, each with a name of its own.
type Consumers []*Consumer

// Compile returns those of the consumers that have an inbox, ready to match events. It asks SQS since when each has its
// queue. Its error names each consumer whose description cannot be used.
//
// A queue that is gone has lost what was in it. So its consumer misses events, and counts as one that was always there.
func Compile(ctx context.Context, queues QueueDescriber, descriptions []description.Consumer) (Consumers, error) {
	var consumers Consumers
	var problems []error
	for _, d := range descriptions {
		if d.Inbox != inboxTable {
			continue
		}
		c, err := compile(ctx, queues, d)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("consumer %s: %w", d.ID, err))
		case consumers.Named(d.Name) != nil:
			problems = append(problems, fmt.Errorf("consumers %s and %s must have different names, got %q for both", consumers.Named(d.Name).ID, d.ID, d.Name))
		default:
			consumers = append(consumers, c)
		}
	}
	return consumers, errors.Join(problems...)
}

// inboxTable is the value of [description.Consumer.Inbox] for a consumer with an inbox.
const inboxTable = "TABLE"

func compile(ctx context.Context, queues QueueDescriber, d description.Consumer) (*Consumer, error) {
	if !record.IsConsumerName(d.Name) {
		return nil, fmt.Errorf("its name must be "+record.ConsumerNames+", got %q", d.Name)
	}
	if d.InboxTable == "" {
		return nil, errors.New("its inbox table must be named, got none")
	}
	p, err := pattern.Compile(d.Pattern, pattern.Rules)
	if err != nil {
		return nil, err
	}
	activeAfter := ruleIsActive
	if d.RuleActiveAfterSeconds != "" {
		if activeAfter, err = description.Seconds(d.RuleActiveAfterSeconds); err != nil {
			return nil, err
		}
	}
	since, err := activeSince(ctx, queues, d.Queue, activeAfter)
	return &Consumer{Consumer: d, Since: since, pattern: p}, err
}

// activeSince returns since when everything that a rule matches is in the queue.
func activeSince(ctx context.Context, queues QueueDescriber, queue string, activeAfter time.Duration) (time.Time, error) {
	if queue == "" {
		return time.Time{}, nil
	}
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameCreatedTimestamp},
	})
	var gone *types.QueueDoesNotExist
	if errors.As(err, &gone) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find out when %s was created: %w", queue, err)
	}
	created := out.Attributes[string(types.QueueAttributeNameCreatedTimestamp)]
	seconds, err := strconv.ParseInt(created, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("CreatedTimestamp of %s must be a whole number of seconds, got %q", queue, created)
	}
	return time.Unix(seconds, 0).Add(activeAfter), nil
}

// Named returns the consumer with the name, or nil.
func (cs Consumers) Named(name string) *Consumer {
	for _, c := range cs {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Match returns the consumers that an event, an item of the outbox table written at that time, is for.
func (cs Consumers) Match(place Place, item Item, writtenAt time.Time) ([]*Consumer, error) {
	message, err := place.Message(item, writtenAt)
	if err != nil {
		return nil, err
	}
	event, err := pattern.Decode([]byte(message))
	if err != nil {
		return nil, err
	}
	var matched []*Consumer
	for _, c := range cs {
		if !writtenAt.Before(c.Since) && c.pattern.Match(event) {
			matched = append(matched, c)
		}
	}
	return matched, nil
}

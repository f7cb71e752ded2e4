package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A Consumer is one whose effects can be looked for: it has an inbox.
type Consumer struct {
	description.Consumer
	// Since is from when on an event that the pattern matches is the consumer's; the zero time: always.
	Since time.Time
	// Joined reports that the consumer was added when the outbox already ran, so that it has a Since of its own.
	Joined bool

	pattern *pattern.Pattern
}

// Consumers are those of one outbox, each with a name of its own.
type Consumers []*Consumer

// Compile returns those of the consumers that have an inbox, ready to match events. It asks SQS since when each has its
// queue, and compares that with when the pipe began, see [PipeBegan]. Its error names each consumer whose description cannot
// be used.
//
// A queue that is gone has lost what was in it. So its consumer misses events, and counts as one that was always there.
func Compile(ctx context.Context, queues QueueDescriber, pipeBegan time.Time, descriptions []description.Consumer) (Consumers, error) {
	var consumers Consumers
	var problems []error
	for _, d := range descriptions {
		if d.Inbox != inboxTable {
			continue
		}
		c, err := compile(ctx, queues, pipeBegan, d)
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

func compile(ctx context.Context, queues QueueDescriber, pipeBegan time.Time, d description.Consumer) (*Consumer, error) {
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
	since, joined, err := beginning(ctx, queues, d.Queue, pipeBegan, activeAfter)
	return &Consumer{Consumer: d, Since: since, Joined: joined, pattern: p}, err
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

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
// queue, and compares that with when the pipe began, see [PipeBegan].
//
// A consumer whose description cannot be used is left out, and so is the second of two with one name: unusable says why, and
// the others do not suffer. An error means that AWS did not answer; then it is not known who the consumers are.
//
// A queue that is gone has lost what was in it. So its consumer misses events, and counts as one that was always there.
func Compile(ctx context.Context, queues QueueDescriber, pipeBegan time.Time, descriptions []description.Consumer) (consumers Consumers, unusable []error, err error) {
	var problems []error
	for _, d := range descriptions {
		if d.Inbox != inboxTable {
			continue
		}
		c, activeAfter, err := compile(d)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("consumer %s: %w", d.ID, err))
			continue
		}
		if other := consumers.Named(d.Name); other != nil {
			unusable = append(unusable, fmt.Errorf("consumers %s and %s must have different names, got %q for both", other.ID, d.ID, d.Name))
			continue
		}
		if c.Since, c.Joined, err = beginning(ctx, queues, d.Queue, pipeBegan, activeAfter); err != nil {
			problems = append(problems, fmt.Errorf("consumer %s: %w", d.ID, err))
			continue
		}
		consumers = append(consumers, c)
	}
	return consumers, unusable, errors.Join(problems...)
}

// inboxTable is the value of [description.Consumer.Inbox] for a consumer with an inbox.
const inboxTable = "TABLE"

// compile returns a consumer by its description alone, and after what time its rule is active.
func compile(d description.Consumer) (*Consumer, time.Duration, error) {
	if !record.IsConsumerName(d.Name) {
		return nil, 0, fmt.Errorf("its name must be "+record.ConsumerNames+", got %q", d.Name)
	}
	if d.InboxTable == "" {
		return nil, 0, errors.New("its inbox table must be named, got none")
	}
	p, err := pattern.Compile(d.Pattern, pattern.Rules)
	if err != nil {
		return nil, 0, err
	}
	activeAfter := ruleIsActive
	if d.RuleActiveAfterSeconds != "" {
		if activeAfter, err = description.Seconds(d.RuleActiveAfterSeconds); err != nil {
			return nil, 0, err
		}
	}
	return &Consumer{Consumer: d, pattern: p}, activeAfter, nil
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

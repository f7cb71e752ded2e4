package redrive

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The limits of what a redrive in order collects before it sends.
const (
	maxCollected      = 10_000
	maxCollectedBytes = 256 << 20
	// collectedFor is how long a collected message is hidden at a time: collecting 10,000 takes minutes. While they are sent,
	// which may take longer, they are hidden again.
	collectedFor = 10 * time.Minute
)

// hideFor returns how long a received message is hidden.
func (q *queueRedrive) hideFor() time.Duration {
	if q.selection.InOrder {
		return collectedFor
	}
	return hideFor
}

// next returns the messages to handle next: those of one receive, or for a redrive in order as many as may be collected,
// sorted.
func (q *queueRedrive) next(ctx context.Context) ([]types.Message, error) {
	if !q.selection.InOrder {
		return q.receive(ctx)
	}
	var all []types.Message
	for bytes, empty := 0, 0; empty < emptyInARow && len(all) < maxCollected && bytes < maxCollectedBytes; {
		some, err := q.receive(ctx)
		if err != nil {
			return nil, err
		}
		if empty++; len(some) > 0 {
			empty = 0
		}
		for _, m := range some {
			q.hold(m)
			bytes += len(aws.ToString(m.Body))
		}
		all = append(all, some...)
	}
	return inOrder(all), nil
}

// A place is where an event stands in its aggregate, and for a rule's message in the queue that it is for.
type place struct {
	target    string // ARN of the queue that a rule's message is for
	aggregate string // nothing where the message holds no event
	version   int64
}

// row names the events among which the place is one.
func (p place) row() string { return p.target + " " + p.aggregate }

func placeOf(m types.Message) place {
	event, err := record.Decode([]byte(aws.ToString(m.Body)))
	if err != nil {
		return place{}
	}
	target := aws.ToString(m.MessageAttributes[targetAttribute].StringValue)
	return place{target, event.Source + "#" + record.PartitionKey(event.AggregateType, event.AggregateID), event.Version}
}

// inOrder sorts messages by version, and so those of each aggregate; of the same version, the older message comes first.
// Aggregates take turns, so that a consumer may handle several at once. What holds no event comes first: nothing waits for it.
func inOrder(messages []types.Message) []types.Message {
	type placed struct {
		types.Message
		version int64
	}
	sorted := make([]placed, len(messages))
	for i, m := range messages {
		sorted[i] = placed{m, placeOf(m).version}
	}
	slices.SortStableFunc(sorted, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.version, b.version), sentAt(a.Message).Compare(sentAt(b.Message)))
	})
	for i := range sorted {
		messages[i] = sorted[i].Message
	}
	return messages
}

// holdUp notes that an event stays, and the later ones of its aggregate with it.
func (q *queueRedrive) holdUp(m types.Message) {
	if !q.selection.InOrder {
		return
	}
	p := placeOf(m)
	if lowest, ok := q.stuck[p.row()]; p.aggregate != "" && (!ok || p.version < lowest) {
		q.stuck[p.row()] = p.version
	}
}

// behind reports an error when an earlier event of the message's aggregate stays: the consumer would only wait for it.
func (q *queueRedrive) behind(m types.Message) error {
	if len(q.stuck) == 0 {
		return nil
	}
	p := placeOf(m)
	if lowest, ok := q.stuck[p.row()]; ok && lowest < p.version {
		return fmt.Errorf("version %d of %s was kept, and this is version %d: redrive them together", lowest, p.aggregate, p.version)
	}
	return nil
}

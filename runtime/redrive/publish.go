package redrive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The limits of one call. Source: EventBridge API reference, PutEvents.
const (
	maxEntries = 10
	maxBytes   = 256 * 1024
)

const (
	// attempts is how often an entry that the bus did not accept is put.
	attempts = 4
	// firstPause is the pause before the second attempt; it doubles.
	firstPause = 200 * time.Millisecond
)

// publish puts the items on the bus in the envelope that the pipe gives them. All of them, or an error:
// then the others may be on the bus.
func (r *Redriver) publish(ctx context.Context, bus string, items []Item) error {
	var entries []bustypes.PutEventsRequestEntry
	for _, item := range items {
		envelope, err := record.Encode(item)
		if err != nil {
			return fmt.Errorf("event %q: %w", textOf(item, record.AttrID), err)
		}
		entries = append(entries, bustypes.PutEventsRequestEntry{
			EventBusName: &bus, Source: &envelope.Source, DetailType: &envelope.DetailType, Detail: aws.String(string(envelope.Detail)),
		})
	}
	var problems []error
	for _, some := range inCalls(entries) {
		if err := r.put(ctx, some); err != nil {
			problems = append(problems, fmt.Errorf("put events on bus %s: %w", bus, err))
		}
	}
	return errors.Join(problems...)
}

// inCalls splits the entries so that each call stays within PutEvents' limits. An entry that alone exceeds them goes
// alone: the bus refuses it, and the others are not held up.
func inCalls(entries []bustypes.PutEventsRequestEntry) [][]bustypes.PutEventsRequestEntry {
	var calls [][]bustypes.PutEventsRequestEntry
	bytes := 0
	for _, e := range entries {
		// Source: EventBridge user guide, "Calculating PutEvents event entry size".
		size := len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
		last := len(calls) - 1
		if last < 0 || len(calls[last]) == maxEntries || bytes+size > maxBytes {
			calls, bytes = append(calls, nil), 0
			last++
		}
		calls[last] = append(calls[last], e)
		bytes += size
	}
	return calls
}

// put puts the entries of one call, and again those that the bus did not accept.
func (r *Redriver) put(ctx context.Context, entries []bustypes.PutEventsRequestEntry) error {
	for attempt, wait := 1, firstPause; ; attempt, wait = attempt+1, 2*wait {
		out, err := r.clients.EventBridge.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			return err
		}
		var failed []bustypes.PutEventsRequestEntry
		var reason error
		for i, result := range out.Entries {
			if result.ErrorCode != nil {
				failed = append(failed, entries[i])
				reason = fmt.Errorf("%s: %s", *result.ErrorCode, aws.ToString(result.ErrorMessage))
			}
		}
		if len(failed) == 0 {
			return nil
		}
		if attempt == attempts {
			return fmt.Errorf("%d of %d were refused: %w", len(failed), len(entries), reason)
		}
		entries = failed
		if err := smithytime.SleepWithContext(ctx, wait); err != nil {
			return err
		}
	}
}

// fromStreamImage returns an image of a stream's record in the types of a table's item. Outbox items have
// strings and numbers only; what else a shared table holds is skipped.
func fromStreamImage(image map[string]streamtypes.AttributeValue) Item {
	item := Item{}
	for name, value := range image {
		switch v := value.(type) {
		case *streamtypes.AttributeValueMemberS:
			item[name] = &types.AttributeValueMemberS{Value: v.Value}
		case *streamtypes.AttributeValueMemberN:
			item[name] = &types.AttributeValueMemberN{Value: v.Value}
		}
	}
	return item
}

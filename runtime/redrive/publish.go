package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// maxEntries is the most entries of one call. Source: EventBridge API reference, PutEvents.
const maxEntries = 10

// publish puts the items on the bus in the envelope that the pipe gives them. All of them, or an error:
// then those before may be on the bus.
func (r *Redriver) publish(ctx context.Context, bus string, items []Item) error {
	var entries []bustypes.PutEventsRequestEntry
	for _, item := range items {
		entry, err := entryOf(item)
		if err != nil {
			return err
		}
		entry.EventBusName = &bus
		entries = append(entries, entry)
	}
	for some := range slices.Chunk(entries, maxEntries) {
		out, err := r.clients.EventBridge.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: some})
		if err != nil {
			return fmt.Errorf("put events on bus %s: %w", bus, err)
		}
		for _, result := range out.Entries {
			if result.ErrorCode != nil {
				return fmt.Errorf("put events on bus %s: %s: %s", bus, *result.ErrorCode, aws.ToString(result.ErrorMessage))
			}
		}
	}
	return nil
}

// entryOf is the event as the pipe would put it: every field of the detail is a string.
func entryOf(item Item) (bustypes.PutEventsRequestEntry, error) {
	detail := map[string]string{}
	for _, field := range append([]string{record.AttrSource}, record.DetailFields...) {
		value, err := scalar(item[field])
		if err != nil {
			return bustypes.PutEventsRequestEntry{}, fmt.Errorf("outbox item %s: %s %w", text(item[record.AttrID]), field, err)
		}
		detail[field] = value
	}
	source := detail[record.AttrSource]
	delete(detail, record.AttrSource)
	raw, err := json.Marshal(detail)
	if err != nil {
		return bustypes.PutEventsRequestEntry{}, err
	}
	return bustypes.PutEventsRequestEntry{Source: &source, DetailType: aws.String(detail[record.AttrType]), Detail: aws.String(string(raw))}, nil
}

func scalar(value types.AttributeValue) (string, error) {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value, nil
	case *types.AttributeValueMemberN:
		return v.Value, nil
	case nil:
		return "", errors.New("is missing")
	}
	return "", fmt.Errorf("is a %T, a string or a number is needed", value)
}

func text(value types.AttributeValue) string {
	s, _ := scalar(value)
	return s
}

// fromStreamImage is an image of a stream's record in the types of a table's item. Outbox items have
// strings and numbers only; what else a shared table holds is passed over.
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

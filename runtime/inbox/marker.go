package inbox

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// marker remembers each event by itself, in any order.
type marker struct{ config *Config }

func (m marker) key(event record.Event) string {
	return record.MarkerKey(m.config.Consumer, event.Source, event.ID)
}

// item returns the marker of a handled event. It says what it was for.
func (m marker) item(event record.Event) map[string]types.AttributeValue {
	now := time.Now()
	return map[string]types.AttributeValue{
		record.AttrPK:            text(m.key(event)),
		record.AttrSource:        text(event.Source),
		record.AttrAggregateType: text(event.AggregateType),
		record.AttrAggregateID:   text(event.AggregateID),
		record.AttrVersion:       number(event.Version),
		record.AttrHandledAt:     number(now.UnixMilli()),
		record.AttrExpiresAt:     number(now.Add(m.config.TTL).Unix()),
	}
}

func (m marker) put(event record.Event) types.Put {
	return types.Put{
		TableName:                           &m.config.Table,
		Item:                                m.item(event),
		ConditionExpression:                 &notThereYet,
		ReturnValuesOnConditionCheckFailure: allOld,
	}
}

func (m marker) judge(event record.Event, item map[string]types.AttributeValue) error {
	if len(item) == 0 {
		return nil
	}
	if stored, own := describe(item), describe(m.item(event)); stored != own {
		return mismatch("event %q is %s, but under that id the consumer has handled %s", event.ID, own, stored)
	}
	return errDuplicate
}

// describe returns what a marker was for.
func describe(item map[string]types.AttributeValue) string {
	return fmt.Sprintf("version %s of %s %q of source %q",
		scalar(item[record.AttrVersion]), scalar(item[record.AttrAggregateType]), scalar(item[record.AttrAggregateID]), scalar(item[record.AttrSource]))
}

// scalar returns the value of a string or number attribute, and an empty string for any other.
func scalar(value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

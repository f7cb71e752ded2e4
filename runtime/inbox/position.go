package inbox

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// position remembers the last event of each aggregate. It never expires: after that, every further event
// would be too early.
type position struct{ config *Config }

func (p position) key(event record.Event) string {
	return record.PositionKey(p.config.Consumer, event.Source, event.AggregateType, event.AggregateID)
}

const versionIs = "#version = :last"

var versionNames = map[string]string{"#version": record.AttrVersion}

func (p position) put(event record.Event) types.Put {
	put := p.after(event.Version - 1)
	put.Item = map[string]types.AttributeValue{
		record.AttrPK:        text(p.key(event)),
		record.AttrVersion:   number(event.Version),
		record.AttrEventID:   text(event.ID),
		record.AttrHandledAt: number(time.Now().UnixMilli()),
	}
	return put
}

// begin writes the position before the event, where the consumer begins with it, in place of the last one.
func (p position) begin(event record.Event, last int64) types.Put {
	put := p.after(last)
	put.Item = map[string]types.AttributeValue{
		record.AttrPK:        text(p.key(event)),
		record.AttrVersion:   number(event.Version - 1),
		record.AttrHandledAt: number(time.Now().UnixMilli()),
	}
	return put
}

// after returns a put without an item, on the condition that the position is at the last version, 0 for none.
func (p position) after(last int64) types.Put {
	put := types.Put{TableName: &p.config.Table, ReturnValuesOnConditionCheckFailure: allOld}
	condition := notThereYet
	if last > 0 {
		condition = versionIs
		put.ExpressionAttributeNames = versionNames
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":last": number(last)}
	}
	put.ConditionExpression = &condition
	return put
}

func (p position) judge(event record.Event, item map[string]types.AttributeValue) error {
	last, id, err := lastOf(item)
	switch {
	case err != nil:
		return err
	case event.Version > last+1:
		return &tooEarlyError{version: event.Version, last: last, lastAt: timeOf(item[record.AttrHandledAt])}
	case event.Version == last+1:
		return nil
	case event.Version < last || id == "": // the id of an older version is not kept
		return errPassed
	case event.ID != id:
		return mismatch("event %q is version %d of %s %q of source %q, but as that version the consumer has handled event %q",
			event.ID, event.Version, event.AggregateType, event.AggregateID, event.Source, id)
	}
	return errDuplicate
}

// lastOf returns the version that a position holds, 0 when there is none, and its event's id.
func lastOf(item map[string]types.AttributeValue) (version int64, id string, err error) {
	if len(item) == 0 {
		return 0, "", nil
	}
	version, err = strconv.ParseInt(scalar(item[record.AttrVersion]), 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("%s of the position %q must be a whole number: %w", record.AttrVersion, scalar(item[record.AttrPK]), err)
	}
	return version, scalar(item[record.AttrEventID]), nil
}

package inbox

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// errDuplicate: the event has had its effect.
var errDuplicate = errors.New("the event has been handled before")

// tooEarlyError: the event's predecessors have not been handled yet.
type tooEarlyError struct{ version, expected int64 }

func (e *tooEarlyError) Error() string {
	return fmt.Sprintf("version %d came before version %d was handled", e.version, e.expected)
}

// claim is how the inbox remembers an event: the write that goes first in the transaction, and what the
// stored item says about the event.
type claim interface {
	// key is the item's key in the inbox table.
	key(record.Event) string
	// put writes the item on the condition that the event is due.
	put(record.Event) types.Put
	// judge is nil if the event is due, and errDuplicate or a *tooEarlyError if not. The item is nil when
	// there is none.
	judge(event record.Event, item map[string]types.AttributeValue) error
}

var allOld = types.ReturnValuesOnConditionCheckFailureAllOld

// marker remembers each event by itself, in any order.
type marker struct{ config *Config }

func (m marker) key(event record.Event) string {
	return "event#" + m.config.Consumer + "#" + event.ID
}

// item of a handled event.
func (m marker) item(event record.Event) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		record.AttrPK:        text(m.key(event)),
		record.AttrExpiresAt: number(time.Now().Add(m.config.TTL).Unix()),
	}
}

var notThereYet = "attribute_not_exists(" + record.AttrPK + ")"

func (m marker) put(event record.Event) types.Put {
	return types.Put{
		TableName:                           &m.config.Table,
		Item:                                m.item(event),
		ConditionExpression:                 &notThereYet,
		ReturnValuesOnConditionCheckFailure: allOld,
	}
}

func (m marker) judge(_ record.Event, item map[string]types.AttributeValue) error {
	if len(item) > 0 {
		return errDuplicate
	}
	return nil
}

// position remembers the last event of each aggregate. It never expires: after that, every further event
// would be too early.
type position struct{ config *Config }

const (
	attrEventID   = "eventId"   // S: the event that has the position's version
	attrHandledAt = "handledAt" // N: epoch milliseconds
)

func (p position) key(event record.Event) string {
	return "position#" + p.config.Consumer + "#" + record.PartitionKey(event.AggregateType, event.AggregateID)
}

var (
	versionIsPrevious = "#version = :previous"
	versionNames      = map[string]string{"#version": record.AttrVersion}
)

func (p position) put(event record.Event) types.Put {
	put := types.Put{
		TableName: &p.config.Table,
		Item: map[string]types.AttributeValue{
			record.AttrPK:      text(p.key(event)),
			record.AttrVersion: number(event.Version),
			attrEventID:        text(event.ID),
			attrHandledAt:      number(time.Now().UnixMilli()),
		},
		ConditionExpression:                 &notThereYet,
		ReturnValuesOnConditionCheckFailure: allOld,
	}
	if event.Version > 1 {
		put.ConditionExpression = &versionIsPrevious
		put.ExpressionAttributeNames = versionNames
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":previous": number(event.Version - 1)}
	}
	return put
}

func (p position) judge(event record.Event, item map[string]types.AttributeValue) error {
	last, id, err := lastOf(item)
	switch {
	case err != nil:
		return err
	case event.Version == last && event.ID != id:
		// Taking it for a duplicate would lose it without a word.
		return Permanent(fmt.Errorf("version %d of %s %q is that of event %s already", last, event.AggregateType, event.AggregateID, id))
	case event.Version <= last:
		return errDuplicate
	case event.Version > last+1:
		return &tooEarlyError{version: event.Version, expected: last + 1}
	}
	return nil
}

// lastOf is the version that a position holds, 0 when there is none, and its event's id.
func lastOf(item map[string]types.AttributeValue) (version int64, id string, err error) {
	if len(item) == 0 {
		return 0, "", nil
	}
	n, isNumber := item[record.AttrVersion].(*types.AttributeValueMemberN)
	s, isText := item[attrEventID].(*types.AttributeValueMemberS)
	if !isNumber || !isText {
		return 0, "", fmt.Errorf("the position %v lacks %s or %s", item[record.AttrPK], record.AttrVersion, attrEventID)
	}
	version, err = strconv.ParseInt(n.Value, 10, 64)
	return version, s.Value, err
}

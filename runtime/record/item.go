package record

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The attributes of an outbox item. The construct's pipe reads them by these names and an outbox
// table is laid out by them, so changing one is a breaking change of stored data.
const (
	AttrPK            = "pk"            // S: <aggregateType>#<aggregateId>
	AttrSK            = "sk"            // S: event#<id>
	AttrRecordType    = "recordType"    // S: always RecordTypeEvent
	AttrID            = "id"            // S: the event's id
	AttrType          = "type"          // S: becomes the detail-type
	AttrSource        = "source"        // S: becomes the source
	AttrAggregateType = "aggregateType" // S
	AttrAggregateID   = "aggregateId"   // S
	AttrVersion       = "version"       // N: 1, 2, 3 … per aggregate
	AttrOccurredAt    = "occurredAt"    // N: epoch milliseconds
	AttrData          = "data"          // S: the event's JSON
	AttrTraceparent   = "traceparent"   // S: W3C trace context; present even when empty
	AttrCorrelationID = "correlationId" // S: id of the event that began the chain; its own id when it began one
	AttrCausationID   = "causationId"   // S: id of the event that led to this one; present even when empty
	AttrExpiresAt     = "expiresAt"     // N: epoch seconds, the table's TTL attribute
	AttrWrittenAt     = "writtenAt"     // N: epoch milliseconds of the write; where it is missing, AttrOccurredAt
)

// HistoryFields are the attributes of outbox items that an ordered consumer reads, to find out where an
// aggregate begins for it: whose event it is and when it was written, and nothing of what happened.
var HistoryFields = []string{AttrPK, AttrID, AttrSource, AttrVersion, AttrOccurredAt, AttrWrittenAt}

// WrittenAt returns when an outbox item was written: AttrWrittenAt, or AttrOccurredAt of an item without it. It is the zero
// time where neither is a number.
func WrittenAt(item map[string]types.AttributeValue) time.Time {
	for _, name := range []string{AttrWrittenAt, AttrOccurredAt} {
		n, ok := item[name].(*types.AttributeValueMemberN)
		if !ok {
			continue
		}
		if ms, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return time.UnixMilli(ms)
		}
	}
	return time.Time{}
}

// RecordTypeEvent is the value of AttrRecordType that marks an item as an event. The pipe's filter
// lets nothing else through, which keeps business items and counters of a shared table off the bus.
const RecordTypeEvent = "outbox.event"

// PartitionKey returns the value of AttrPK for an aggregate.
func PartitionKey(aggregateType, aggregateID string) string {
	return aggregateType + "#" + aggregateID
}

// SortKey returns the value of AttrSK for an event.
func SortKey(id string) string { return "event#" + id }

// Item returns the outbox item of the event: what a transaction puts into the outbox table.
// expiresAt is when DynamoDB may delete the item; TTL deletes never become events, because the pipe
// lets only INSERT through.
//
// The item has no AttrWrittenAt, which package outbox adds. Who writes the item otherwise sets it too where OccurredAt is
// not the time of the write: an ordered consumer that joins, and a redrive, go by it.
//
// It returns Validate's error for an event that the pipe could not deliver.
func (e Event) Item(expiresAt time.Time) (map[string]types.AttributeValue, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("outbox item: %w", err)
	}
	return map[string]types.AttributeValue{
		AttrPK:            text(PartitionKey(e.AggregateType, e.AggregateID)),
		AttrSK:            text(SortKey(e.ID)),
		AttrRecordType:    text(RecordTypeEvent),
		AttrID:            text(e.ID),
		AttrType:          text(e.Type),
		AttrSource:        text(e.Source),
		AttrAggregateType: text(e.AggregateType),
		AttrAggregateID:   text(e.AggregateID),
		AttrVersion:       number(e.Version),
		AttrOccurredAt:    number(e.OccurredAt.UnixMilli()),
		AttrData:          text(string(e.Data)),
		AttrTraceparent:   text(e.Traceparent),
		AttrCorrelationID: text(cmp.Or(e.CorrelationID, e.ID)),
		AttrCausationID:   text(e.CausationID),
		AttrExpiresAt:     number(expiresAt.Unix()),
	}, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// HeartbeatSource returns the source of the events that an outbox writes to itself once a minute, to find out whether
// its own arrive. No consumer gets them.
func HeartbeatSource(source string) string { return source + heartbeatSuffix }

const heartbeatSuffix = ".heartbeat"

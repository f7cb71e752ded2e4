package audit

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The reasons why an effect is not confirmed, besides those that name numbers.
const (
	reasonNoMarker = "the consumer does not remember the event"
	reasonLeased   = "the consumer has begun to handle the event and has not ended"
)

// judgeMarker returns the verdict of a consumer that remembers each event by itself.
func judgeMarker(event Event, marker Item) Verdict {
	if len(marker) == 0 {
		return Verdict{Reason: reasonNoMarker}
	}
	if _, leased := marker[record.AttrLeaseUntil]; leased {
		return Verdict{Reason: reasonLeased}
	}
	of := fmt.Sprintf("version %s of %s %q of source %q", scalar(marker, record.AttrVersion),
		scalar(marker, record.AttrAggregateType), scalar(marker, record.AttrAggregateID), scalar(marker, record.AttrSource))
	own := fmt.Sprintf("version %d of %s %q of source %q", event.Version, event.AggregateType, event.AggregateID, event.Source)
	if of != own {
		return Verdict{Reason: "under the event's id the consumer has handled " + of}
	}
	return Verdict{Confirmed: true, HandledAt: timeOf(marker, record.AttrHandledAt)}
}

// judgePosition returns the verdict of an ordered consumer, and whether it holds wherever the consumer began.
func judgePosition(effect Effect, position Item) (v Verdict, decided bool) {
	event, at, id := effect.Event, whole(position, record.AttrVersion), scalar(position, record.AttrEventID)
	switch {
	case at < event.Version:
		// Where it is not known since when the consumer has its queue, its own note says which events are older.
		return Verdict{Reason: fmt.Sprintf("the consumer has handled the versions up to %d", at)}, !effect.Consumer.Since.IsZero()
	case at > event.Version, id == "":
		return Verdict{Confirmed: true}, false
	case id != event.ID:
		return Verdict{Reason: fmt.Sprintf("as version %d the consumer has handled event %q", at, id)}, true
	}
	return Verdict{Confirmed: true, HandledAt: timeOf(position, record.AttrHandledAt)}, true
}

// judgeBeginning returns what remains of a verdict: an event that the consumer went on without had no effect, and one that
// was written before the consumer joined needs none.
func judgeBeginning(event Event, v Verdict, start, join Item) Verdict {
	joined := timeOf(join, record.AttrJoinedAt)
	from, begun, inGap := gapAround(start, event.Version)
	switch {
	case v.Confirmed && !inGap:
		return v
	case event.WrittenAt.Before(joined):
		return Verdict{Confirmed: true}
	case inGap:
		return Verdict{Reason: fmt.Sprintf("the consumer went on without the versions from %d to %d", from, begun-1)}
	}
	return v
}

// gapAround returns the gap in a start that a version is in: its first version, and the one begun with after it.
func gapAround(start Item, version int64) (from, begun int64, ok bool) {
	list, _ := start[record.AttrGaps].(*types.AttributeValueMemberL)
	if list == nil {
		return 0, 0, false
	}
	at := func(i int) int64 { return whole(Item{"": list.Value[i]}, "") }
	for i := 0; i+1 < len(list.Value); i += 2 {
		if at(i) <= version && version < at(i+1) {
			return at(i), at(i + 1), true
		}
	}
	return 0, 0, false
}

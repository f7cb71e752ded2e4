package audit

import (
	"context"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An Effect is one that an event has at a consumer, or should have.
type Effect struct {
	Event    Event
	Consumer *Consumer
	// Passed is whether another consumer has had the effect of the event. Then the event has passed the bus, and no message
	// of the pipe's dead-letter queue stands for it.
	Passed bool
}

// A Verdict says what the inbox has about an effect.
type Verdict struct {
	// Confirmed reports whether the effect is committed, or not due because the event was written before an ordered
	// consumer joined.
	Confirmed bool
	HandledAt time.Time // when the effect was committed; the zero time where that is not known
	Reason    string    // why it is not confirmed
}

// Confirm returns a verdict for each effect, in their order. It reads the inbox tables in batches, eventually consistent: an
// effect of the last second may be missed. The inbox is the receipt, so nothing else counts: not a message in a queue, and
// not one in a dead-letter queue.
//
// Only where the position of an ordered consumer does not decide is it read what the consumer went on without, and when it
// joined; consistently, because that may take a confirmation back.
func Confirm(ctx context.Context, tables BatchReader, effects []Effect) ([]Verdict, error) {
	verdicts := make([]Verdict, len(effects))
	receipts := batches{tables: tables}
	for _, e := range effects {
		receipts.want(e.Consumer.InboxTable, e.receiptKey())
	}
	if err := receipts.read(ctx); err != nil {
		return nil, err
	}
	var open []int
	for i, e := range effects {
		receipt := receipts.item(e.Consumer.InboxTable, e.receiptKey())
		if !e.Consumer.Ordered {
			verdicts[i] = judgeMarker(e.Event, receipt)
			continue
		}
		decided := false
		if verdicts[i], decided = judgePosition(e, receipt); !decided {
			open = append(open, i)
		}
	}
	return verdicts, judgeBeginnings(ctx, tables, effects, verdicts, open)
}

// judgeBeginnings corrects those verdicts that depend on where an ordered consumer began.
func judgeBeginnings(ctx context.Context, tables BatchReader, effects []Effect, verdicts []Verdict, open []int) error {
	beginnings := batches{tables: tables, consistent: true}
	for _, i := range open {
		e := effects[i]
		beginnings.want(e.Consumer.InboxTable, e.startKey())
		beginnings.want(e.Consumer.InboxTable, e.joinKey())
	}
	if err := beginnings.read(ctx); err != nil {
		return err
	}
	for _, i := range open {
		e := effects[i]
		verdicts[i] = judgeBeginning(e.Event, verdicts[i],
			beginnings.item(e.Consumer.InboxTable, e.startKey()), beginnings.item(e.Consumer.InboxTable, e.joinKey()))
	}
	return nil
}

// receiptKey returns the key of the inbox item that the effect leaves.
func (e Effect) receiptKey() string {
	if e.Consumer.Ordered {
		return record.PositionKey(e.Consumer.Name, e.Event.Source, e.Event.AggregateType, e.Event.AggregateID)
	}
	return record.MarkerKey(e.Consumer.Name, e.Event.Source, e.Event.ID)
}

func (e Effect) startKey() string {
	return record.StartKey(e.Consumer.Name, e.Event.Source, e.Event.AggregateType, e.Event.AggregateID)
}

func (e Effect) joinKey() string { return record.JoinKey(e.Consumer.Name) }

package inbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// starter decides with which event of an aggregate an ordered consumer begins, where that is not version 1.
// docs/adr/0012 argues why its decisions do not depend on the order of arrival.
type starter struct {
	store      *Store
	position   position
	gapTimeout time.Duration
}

const attrSince = "since" // N, of the lowest waiting event: epoch milliseconds

// tooEarly decides about an event that came too early. It returns nil when the consumer begins with it: then
// the event is due. overdue is whether the event has waited for the gap timeout.
func (s starter) tooEarly(ctx context.Context, event record.Event, early *tooEarlyError, overdue bool) error {
	join, err := s.store.join(ctx)
	if err != nil {
		return err
	}
	written, err := s.store.historyOf(ctx, event)
	if err != nil {
		return err
	}
	// Of an aggregate that the consumer knew before its queue was replaced, what the table does not have is old.
	mayHaveExpired := early.last > 0 && !early.lastAt.Before(join.queue)
	at, known := written[event.Version]
	switch {
	case known && !written.anyMissingAfter(join.joined, early, mayHaveExpired):
		if at.Before(join.joined) {
			return errSkipped
		}
		return s.begin(ctx, event, early)
	case !written.anyMissingAfter(join.certain, early, mayHaveExpired):
		return s.waitAsLowest(ctx, event, early)
	case overdue:
		if early.held, err = s.holdsEarlier(ctx, event, early.last); err != nil {
			return err
		}
	}
	return early
}

// anyMissingAfter reports whether one of the predecessors that an event waits for was written at the time or
// later. mayHaveExpired says that it may have been, where the table does not have it.
func (h history) anyMissingAfter(at time.Time, early *tooEarlyError, mayHaveExpired bool) bool {
	for version, written := range h {
		if early.last < version && version < early.version && !written.Before(at) {
			return true
		}
	}
	if !mayHaveExpired {
		return false
	}
	for version := early.last + 1; version < early.version; version++ {
		if _, known := h[version]; !known {
			return true
		}
	}
	return false
}

// gaps are the versions of an aggregate that a consumer went on without: of each gap the first, and the one
// that it began with after it. There is more than one gap only where a rule that was just made missed some events
// and not others.
type gaps []int64

func gapsOf(item map[string]types.AttributeValue) gaps {
	list, _ := item[record.AttrGaps].(*types.AttributeValueMemberL)
	if list == nil {
		return nil
	}
	var g gaps
	for _, value := range list.Value {
		g = append(g, intOf(value))
	}
	return g
}

func (g gaps) attribute() types.AttributeValue {
	list := &types.AttributeValueMemberL{}
	for _, version := range g {
		list.Value = append(list.Value, number(version))
	}
	return list
}

// around returns the gap that a version is in.
func (g gaps) around(version int64) (from, begun int64, ok bool) {
	for i := 0; i+1 < len(g); i += 2 {
		if g[i] <= version && version < g[i+1] {
			return g[i], g[i+1], true
		}
	}
	return 0, 0, false
}

// begin puts the position before the event, and notes what the consumer goes on without.
func (s starter) begin(ctx context.Context, event record.Event, early *tooEarlyError) error {
	before, err := s.store.read(ctx, s.startKey(event)) // it changes only together with the position
	if err != nil {
		return err
	}
	tx := s.store.outbox.Begin(ctx)
	tx.Put(s.position.begin(event, early.last))
	tx.Put(types.Put{TableName: &s.store.config.Table, Item: map[string]types.AttributeValue{
		// It stays, as the position does: an event that is redriven again and again may come at any time.
		record.AttrPK:   text(s.startKey(event)),
		record.AttrGaps: append(gapsOf(before), early.last+1, event.Version).attribute(),
	}})
	err = tx.Commit(ctx)
	if errors.Is(err, outbox.ErrConditionFailed) {
		return early // another invocation was first: what it has decided, the next try sees
	}
	if err != nil {
		return fmt.Errorf("begin with version %d of %s %q: %w", event.Version, event.AggregateType, event.AggregateID, err)
	}
	return nil
}

// holdsEarlier reports whether an event before this one waits for predecessors which may never come.
func (s starter) holdsEarlier(ctx context.Context, event record.Event, last int64) (bool, error) {
	item, err := s.store.read(ctx, s.waitingKey(event))
	lowest := intOf(item[record.AttrVersion])
	return last < lowest && lowest < event.Version, err
}

// waitAsLowest lets an event wait for predecessors which may never come, or begin with it when it has been
// the lowest of those that wait for the gap timeout: a lower one that waits too has come back by then.
func (s starter) waitAsLowest(ctx context.Context, event record.Event, early *tooEarlyError) error {
	early.held = true
	item, err := s.store.read(ctx, s.waitingKey(event))
	if err != nil {
		return err
	}
	lowest := intOf(item[record.AttrVersion])
	switch {
	case lowest == event.Version && time.Since(timeOf(item[attrSince])) >= s.gapTimeout:
		return s.begin(ctx, event, early)
	case early.last < lowest && lowest <= event.Version:
		return early
	}
	if err := s.noteWaiting(ctx, event, early.last); err != nil {
		return err
	}
	return early
}

// failed notes an event that was due and failed, so that no later one of its aggregate goes before it: it is not one that
// may never come. It returns the reason; where the note cannot be written, an error with which the event comes back.
func (s starter) failed(ctx context.Context, event record.Event, reason error) error {
	if err := s.noteWaiting(ctx, event, event.Version-1); err != nil {
		return fmt.Errorf("%w; the event had failed: %s", err, reason) //nolint:errorlint // a permanent error must not end it now
	}
	return reason
}

// noteWaiting notes that an event waits, or comes back, unless a lower one after the last does too. The note is kept for as
// long as the event can come again.
func (s starter) noteWaiting(ctx context.Context, event record.Event, last int64) error {
	tx := s.store.outbox.Begin(ctx)
	tx.Put(types.Put{
		TableName: &s.store.config.Table,
		Item: map[string]types.AttributeValue{
			record.AttrPK:        text(s.waitingKey(event)),
			record.AttrVersion:   number(event.Version),
			attrSince:            number(time.Now().UnixMilli()),
			record.AttrExpiresAt: number(time.Now().Add(s.store.config.TTL).Unix()),
		},
		ConditionExpression:      &lowerThanWaiting,
		ExpressionAttributeNames: versionNames,
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":version": number(event.Version), ":last": number(last),
		},
	})
	if err := tx.Commit(ctx); err != nil && !errors.Is(err, outbox.ErrConditionFailed) {
		return fmt.Errorf("note that version %d waits: %w", event.Version, err)
	}
	return nil
}

var lowerThanWaiting = notThereYet + " OR #version > :version OR #version <= :last"

// passed decides about an event below the position: a duplicate, unless the consumer went on without it.
func (s starter) passed(ctx context.Context, event record.Event) error {
	item, err := s.store.read(ctx, s.startKey(event))
	if err != nil {
		return err
	}
	from, begun, inGap := gapsOf(item).around(event.Version)
	if !inGap {
		return errDuplicate
	}
	join, err := s.store.join(ctx)
	if err != nil {
		return err
	}
	written, err := s.store.historyOf(ctx, event)
	if err != nil {
		return err
	}
	at, known := written[event.Version]
	if !known {
		at = event.OccurredAt
	}
	if at.Before(join.joined) {
		return errSkipped
	}
	return Permanent(fmt.Errorf("version %d of %s %q came after the consumer had begun with version %d: it waited for version %d as long as it may",
		event.Version, event.AggregateType, event.AggregateID, begun, from))
}

// intOf returns the number in an attribute, 0 where there is none.
func intOf(value types.AttributeValue) int64 {
	n, _ := strconv.ParseInt(scalar(value), 10, 64)
	return n
}

func (s starter) startKey(event record.Event) string {
	return record.StartKey(s.store.config.Consumer, event.Source, event.AggregateType, event.AggregateID)
}

func (s starter) waitingKey(event record.Event) string {
	return record.WaitingKey(s.store.config.Consumer, event.Source, event.AggregateType, event.AggregateID)
}

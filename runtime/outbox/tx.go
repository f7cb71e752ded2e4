package outbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An Event is one thing that happened to one aggregate. Its source is the outbox's.
type Event struct {
	// Type is what happened, for example "OrderUpdated". At most record.MaxDetailType characters.
	Type string
	// AggregateType is the kind of thing that it happened to, for example "Order". At most
	// record.MaxAggregateType bytes, without '#'.
	AggregateType string
	// AggregateID is the thing that it happened to. At most record.MaxAggregateID bytes.
	AggregateID string
	// Version numbers the events of one aggregate: 1, 2, 3 … Only Append reads it; the methods that number
	// events set it.
	Version int64
	// Data is the event's own content, marshaled with encoding/json. The whole event, as a consumer
	// receives it, stays under MaxEnvelopeSize.
	Data any
	// ID identifies the event for every consumer. At most record.MaxID bytes. Default: a new UUIDv7.
	ID string
	// OccurredAt is kept in milliseconds. Default: now.
	OccurredAt time.Time
	// CorrelationID groups the events of one chain. Default: that of the event being handled (see
	// CausedBy), else this event's own id.
	CorrelationID string
}

// A Tx collects the application's writes and the events about them, and commits all of them in one
// TransactWriteItems call, or none. It is not safe for concurrent use.
//
// Its methods return no errors: whatever is wrong with an action is reported by Commit, before anything
// is sent. The structs given to it must not be changed afterwards.
type Tx struct {
	outbox *Outbox
	cause  cause

	actions  []action
	problems []error
	sealed   bool // Commit has been called: the actions can no longer change
	counters []counter

	attempts // what is known of the attempts to commit
}

// action is one entry of the transaction: a write of the application, or an event whose item is made once
// its version is known.
type action struct {
	write    types.TransactWriteItem
	event    *record.Event
	numbered bool // the event gets its version from a counter
}

// Put adds a Put action.
func (tx *Tx) Put(put types.Put) { tx.add(action{write: types.TransactWriteItem{Put: &put}}) }

// Update adds an Update action.
func (tx *Tx) Update(update types.Update) {
	tx.add(action{write: types.TransactWriteItem{Update: &update}})
}

// Delete adds a Delete action.
func (tx *Tx) Delete(del types.Delete) {
	tx.add(action{write: types.TransactWriteItem{Delete: &del}})
}

// Check adds a ConditionCheck action: a condition on an item that the transaction does not write.
func (tx *Tx) Check(check types.ConditionCheck) {
	tx.add(action{write: types.TransactWriteItem{ConditionCheck: &check}})
}

// Append adds an event whose version the caller knows, and returns the event's id. That no other writer
// uses the same version is the caller's duty, usually by a condition on the business item. PutVersioned,
// UpdateVersioned and AppendNext take that duty over.
//
// An event id that is in the table already fails the transaction with ErrConditionFailed.
func (tx *Tx) Append(event Event) string {
	return tx.addEvent(event, false)
}

// AppendNext adds an event and gives it the next version of its aggregate, and returns the event's id.
// The outbox table holds a counter item for each aggregate numbered this way; Commit reads it, and the
// transaction advances it on the condition that no other has. Losing that race is retried with the next
// number, so two writers never get the same one.
//
// It costs half a read unit and two write units more than Append. The Client must also be an ItemReader.
// All events of an aggregate must be numbered in the same way.
func (tx *Tx) AppendNext(event Event) string {
	if _, ok := tx.outbox.client.(ItemReader); !ok {
		tx.refuse("AppendNext %s: the client needs a GetItem method to read the counter", event.Type)
	}
	return tx.addEvent(event, true)
}

func (tx *Tx) addEvent(event Event, numbered bool) string {
	id := cmp.Or(event.ID, uuid.Must(uuid.NewV7()).String())
	if tx.outbox.config.Table == "" {
		tx.refuse("event %s: no outbox table is configured", event.Type)
	}
	if keep := tx.outbox.config.Retention; keep < time.Second {
		tx.refuse("event %s: Retention must be at least 1s, or 0 for %s, got %s", event.Type, DefaultRetention, keep)
	}
	data, err := json.Marshal(event.Data)
	if err != nil {
		tx.refuse("event %s: data: %w", event.Type, err)
	}
	if event.OccurredAt.IsZero() {
		event.OccurredAt = time.Now()
	}
	tx.add(action{numbered: numbered, event: &record.Event{
		ID:            id,
		Type:          event.Type,
		Source:        tx.outbox.config.Source,
		AggregateType: event.AggregateType,
		AggregateID:   event.AggregateID,
		Version:       event.Version,
		OccurredAt:    event.OccurredAt,
		Data:          data,
		Traceparent:   tx.cause.traceparent,
		CorrelationID: cmp.Or(event.CorrelationID, tx.cause.correlationID, id),
		CausationID:   tx.cause.causationID,
	}})
	return id
}

func (tx *Tx) add(a action) {
	if tx.sealed {
		tx.refuse("action[%d] was added after Commit", len(tx.actions))
		return
	}
	tx.actions = append(tx.actions, a)
}

func (tx *Tx) refuse(format string, args ...any) {
	tx.problems = append(tx.problems, fmt.Errorf(format, args...))
}

// build makes the request's items from the actions, in their order, followed by the counters.
func (tx *Tx) build() ([]types.TransactWriteItem, error) {
	items := make([]types.TransactWriteItem, 0, len(tx.actions)+len(tx.counters))
	problems := slices.Clip(tx.problems)
	for i, a := range tx.actions {
		if a.event != nil {
			put, err := tx.eventPut(*a.event)
			if err != nil {
				problems = append(problems, fmt.Errorf("action[%d]: %w", i, err))
			}
			a.write.Put = put
		}
		items = append(items, a.write)
	}
	for _, c := range tx.counters {
		items = append(items, c.advance(tx.outbox.config.Table))
	}
	problems = append(problems, checkLimits(items, tx.outbox.config.Table)...)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return items, nil
}

// eventPut puts the event's item on the condition that it is not there: overwriting one would be a
// modification, which the pipe does not let through, and the event would be lost.
func (tx *Tx) eventPut(event record.Event) (*types.Put, error) {
	now := time.Now()
	item, err := event.Item(now.Add(tx.outbox.config.Retention))
	if err != nil {
		return &types.Put{TableName: &tx.outbox.config.Table}, err
	}
	// The application may choose OccurredAt; where a consumer begins is decided by the write.
	item[record.AttrWrittenAt] = number(now.UnixMilli())
	return &types.Put{
		TableName:           &tx.outbox.config.Table,
		Item:                item,
		ConditionExpression: aws.String(notThereYet),
	}, checkEnvelope(event)
}

const notThereYet = "attribute_not_exists(" + record.AttrPK + ")"

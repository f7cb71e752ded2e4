package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// EffectHandler returns the Lambda handler of a consumer whose effect is outside DynamoDB: an HTTP call, an
// e-mail. It takes a lease of the event in the inbox, calls the function, and marks the event as handled. While one
// invocation holds the lease, a duplicate fails and comes again; afterwards it is acknowledged.
//
// The effect is at least once, not exactly once: when the function has had its effect and the process
// dies before the event is marked, the event is handled again. Give the event's ID to the other side as
// idempotency key, where it takes one.
//
// The lease ends a second or two after the invocation's time is up: no work on the event outlives it, and
// it does not outlive the queue's visibility timeout, which is six times the function's. The function must
// return when its context ends.
//
// Errors mean what they mean to Handler.
func EffectHandler(store *Store, effect func(ctx context.Context, event record.Event) error) LambdaHandler {
	e := effectful{store: store, effect: effect, marker: marker{&store.config}}
	c := consumer{store: store, process: e.process}
	return c.handle
}

type effectful struct {
	store  *Store
	effect func(context.Context, record.Event) error
	marker marker
}

// attrOwner is the attribute of an event that is leased and not yet handled, besides record.AttrLeaseUntil: S, the lease's id.
const attrOwner = "owner"

const (
	// leaseMargin is for clocks that differ, and for what inTime takes off the deadline.
	leaseMargin = 2 * time.Second
	// leaseWithoutDeadline is how long a lease lasts where the context does not say when the function ends.
	leaseWithoutDeadline = time.Minute
)

var errLeased = errors.New("another invocation is handling the event")

func (e effectful) process(ctx context.Context, event record.Event) error {
	owner := uuid.NewString()
	if err := e.lease(ctx, event, owner); err != nil {
		return err
	}
	if err := protect(func() error { return e.effect(outbox.CausedBy(ctx, event), event) }); err != nil {
		return err
	}
	return e.complete(ctx, event, owner)
}

var dueOrLeaseOver = "attribute_not_exists(" + record.AttrPK + ") OR " + record.AttrLeaseUntil + " < :now"

// lease writes the event's marker with a lease, on the condition that there is none or its lease is over.
func (e effectful) lease(ctx context.Context, event record.Event, owner string) error {
	now := time.Now()
	until, ok := ctx.Deadline()
	if !ok {
		until = now.Add(leaseWithoutDeadline)
	}
	item := e.marker.item(event)
	item[record.AttrLeaseUntil] = number(until.Add(leaseMargin).UnixMilli())
	item[attrOwner] = text(owner)
	tx := e.store.outbox.Begin(ctx)
	tx.Put(types.Put{
		TableName:                           &e.store.config.Table,
		Item:                                item,
		ConditionExpression:                 &dueOrLeaseOver,
		ExpressionAttributeValues:           map[string]types.AttributeValue{":now": number(now.UnixMilli())},
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	err := tx.Commit(ctx)
	var failed *outbox.ConditionFailedError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return fmt.Errorf("lease the event: %w", err)
	}
	stored := failed.Failed[0].Item
	verdict := e.marker.judge(event, stored)
	if _, leased := stored[record.AttrLeaseUntil]; leased && errors.Is(verdict, errDuplicate) {
		return errLeased
	}
	return verdict
}

var ownerIsMe = "#owner = :me"

// complete replaces the lease by the marker of a handled event. If the lease was over and another
// invocation took the next one, that one completes it.
func (e effectful) complete(ctx context.Context, event record.Event, owner string) error {
	tx := e.store.outbox.Begin(ctx)
	tx.Put(types.Put{
		TableName:                 &e.store.config.Table,
		Item:                      e.marker.item(event),
		ConditionExpression:       &ownerIsMe,
		ExpressionAttributeNames:  map[string]string{"#owner": attrOwner},
		ExpressionAttributeValues: map[string]types.AttributeValue{":me": text(owner)},
	})
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("the effect took place, but the event could not be marked as handled: %w", err)
	}
	return nil
}

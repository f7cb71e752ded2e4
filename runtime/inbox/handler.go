package inbox

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A LambdaHandler is a function that lambda.Start takes. Its error is always nil: what failed is in the response, so
// the event source mapping must report batch item failures.
type LambdaHandler = func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// An Option changes how Handler works.
type Option func(*options)

type options struct {
	inOrder          bool
	fromFirstVersion bool
	readFirst        bool
	gapTimeout       time.Duration
}

// InOrder handles the events of an aggregate in the order of their versions: the next one is handled, an
// older one is a duplicate, one that comes too early is given back to the queue and comes again within a
// minute. The inbox keeps one item an aggregate, for good, in place of one an event.
//
// An aggregate begins for the consumer with version 1, or with the first event that was written after the
// consumer joined: after its queue was created. What was written before is skipped. To tell the two apart
// the consumer reads when the aggregate's events were written (see Config.OriginTable). FromFirstVersion
// asks for the past too.
//
// The consumer must receive every event of its aggregate types, and return nil for those it does not care
// for: a type that is filtered out looks like one that was lost. The queue's maxReceiveCount must leave
// room for the waiting: 40 receives for the default GapTimeout.
func InOrder() Option { return func(o *options) { o.inOrder = true } }

// FromFirstVersion is InOrder with every aggregate beginning with version 1: what comes before that has to wait.
// It is for a consumer that joins a running system and gets the past from a replay of the archive.
func FromFirstVersion() Option {
	return func(o *options) { o.inOrder, o.fromFirstVersion = true, true }
}

// DefaultGapTimeout is how long an event waits for its predecessor.
const DefaultGapTimeout = 15 * time.Minute

// GapTimeout sets how long, with InOrder, an event may wait for its predecessor from its first receive on.
// Then it goes to the dead-letter queue, to be redriven after the predecessor; or it is handled, where the
// predecessor was written while the consumer joined and may never come. Without InOrder it has no effect.
// Default, and for 0 or less: DefaultGapTimeout.
func GapTimeout(timeout time.Duration) Option { return func(o *options) { o.gapTimeout = timeout } }

// ReadFirst looks an event up before its function is called, so that a duplicate, or an event that comes
// too early, costs one read unit and not a failed transaction and the function's time. It pays off where
// such messages are more than about one in four.
func ReadFirst() Option { return func(o *options) { o.readFirst = true } }

// Handler returns the Lambda handler of a consumer whose effects are in DynamoDB. For each event it calls the
// function with a transaction that remembers the event, and commits it with the writes and follow-on
// events that the function added: all of them take effect once, or not at all. The function must not
// commit, and must have no other effects (see EffectHandler). The context it gets is the one to pass on:
// it ends in time for the answer, and carries trace and causation to outbox.Begin.
//
// What a returned error means: the message alone fails and comes again, until the queue moves it to the
// dead-letter queue. An error marked with Permanent moves it there at once. A panic is an error.
func Handler(store *Store, handle func(ctx context.Context, tx *outbox.Tx, event record.Event) error, opts ...Option) LambdaHandler {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.gapTimeout <= 0 {
		o.gapTimeout = DefaultGapTimeout
	}
	t := transactional{store: store, handle: handle, claim: marker{&store.config}, readFirst: o.readFirst}
	if o.inOrder {
		t.claim = position{&store.config}
	}
	c := consumer{store: store, process: t.process, inOrder: o.inOrder, gapTimeout: o.gapTimeout}
	if o.inOrder && !o.fromFirstVersion {
		c.starter = &starter{store: store, position: position{&store.config}, gapTimeout: o.gapTimeout}
	}
	return c.handle
}

// transactional handles an event in one transaction with its claim.
type transactional struct {
	store     *Store
	handle    func(context.Context, *outbox.Tx, record.Event) error
	claim     claim
	readFirst bool
}

func (t transactional) process(ctx context.Context, event record.Event) error {
	if t.readFirst {
		if err := t.lookUp(ctx, event); err != nil {
			return err
		}
	}
	err := t.attempt(ctx, event)
	if err == nil || isVerdict(err) {
		return err
	}
	// The function of a duplicate, or of an event that came too early, meets a state it does not expect:
	// the inbox's verdict comes before the function's error.
	if verdict := t.lookUp(ctx, event); isVerdict(verdict) {
		return verdict
	}
	return err
}

// attempt calls the function and commits.
func (t transactional) attempt(ctx context.Context, event record.Event) error {
	ctx = outbox.CausedBy(ctx, event)
	tx := t.store.outbox.Begin(ctx)
	tx.Put(t.claim.put(event))
	if err := protect(func() error { return t.handle(ctx, tx, event) }); err != nil {
		return err
	}
	err := tx.Commit(ctx)
	if err == nil {
		return nil
	}
	var failed *outbox.ConditionFailedError
	if errors.As(err, &failed) {
		const first = 0 // the claim was added first
		if action, ok := failed.Action(first); ok {
			if verdict := t.claim.judge(event, action.Item); verdict != nil {
				return verdict
			}
		}
	}
	return err
}

// lookUp returns the inbox's verdict about the event, nil when it is due.
func (t transactional) lookUp(ctx context.Context, event record.Event) error {
	item, err := t.store.read(ctx, t.claim.key(event))
	if err != nil {
		return err
	}
	return t.claim.judge(event, item)
}

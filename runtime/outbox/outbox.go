package outbox

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/internal/environment"
	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/trace"
)

// A Client is the part of DynamoDB's client that a transaction uses. *dynamodb.Client fits. Another client
// must pass the option functions on: with them Commit turns the SDK's retries off.
type Client interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// An ItemReader reads an item. AppendNext uses it to read a counter. *dynamodb.Client fits.
type ItemReader interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
}

// DefaultRetention is how long an outbox item is kept where nothing else is set: 7 days, as in the construct.
const DefaultRetention = record.DefaultRetention

// A Config is where events go and which service they come from.
type Config struct {
	// Table is the name or ARN of the outbox table. Transactions without events do without it.
	Table string
	// Source is the service that the events come from, for example "orders": the source on the bus.
	Source string
	// Retention is how long an outbox item is kept before DynamoDB deletes it, 1 second or more; Commit refuses
	// events with less. The deletion never becomes an event. Default, and for 0: DefaultRetention.
	Retention time.Duration
}

// An Outbox begins transactions. It is safe for concurrent use; make one when the function starts.
type Outbox struct {
	client Client
	config Config
}

// New returns an Outbox on the configuration's table.
func New(client Client, config Config) *Outbox {
	config.Retention = cmp.Or(config.Retention, DefaultRetention)
	return &Outbox{client: client, config: config}
}

// FromEnv returns an Outbox by what the construct gave to the function: the table in OUTBOX_TABLE, the source in
// OUTBOX_SOURCE, and the retention in OUTBOX_RETENTION_SECONDS, whole seconds from 1 to 2147483647. Without
// the last it is DefaultRetention. The error names every variable that is missing or wrong.
func FromEnv(client Client) (*Outbox, error) {
	var env environment.Variables
	config := Config{Table: env.Need("OUTBOX_TABLE"), Source: env.Need("OUTBOX_SOURCE"), Retention: env.OutboxRetention()}
	if err := env.Err(); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return New(client, config), nil
}

// Begin starts a transaction. Nothing is sent before Commit. The events that are appended belong to the
// trace of the context, and to the event in it that caused them (see CausedBy).
func (o *Outbox) Begin(ctx context.Context) *Tx {
	tx := &Tx{outbox: o}
	tx.cause, _ = ctx.Value(causeKey{}).(cause)
	if tx.cause.traceparent == "" {
		tx.cause.traceparent = trace.FromContext(ctx)
	}
	return tx
}

type causeKey struct{}

// cause is what follow-on events take over from the event that led to them.
type cause struct{ correlationID, causationID, traceparent string }

// CausedBy returns a context for handling the event: events that are appended to transactions begun with it
// carry its id as their causation id, continue its correlation id, and continue its trace if it has one.
func CausedBy(ctx context.Context, event record.Event) context.Context {
	return context.WithValue(ctx, causeKey{}, cause{
		correlationID: cmp.Or(event.CorrelationID, event.ID),
		causationID:   event.ID,
		traceparent:   event.Traceparent,
	})
}

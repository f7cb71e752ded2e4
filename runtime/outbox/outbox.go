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

// Client is what a transaction needs of DynamoDB. The application's *dynamodb.Client fits. A client of
// one's own must pass the option functions on: by them, Commit takes retries into its own hands.
type Client interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// ItemReader is what AppendNext needs of the Client besides, to read a counter. *dynamodb.Client fits.
type ItemReader interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
}

// DefaultRetention is how long an outbox item is kept, 7 days: the construct's default too.
const DefaultRetention = record.DefaultRetention

// Config says where events go and who says them.
type Config struct {
	// Table is the name or ARN of the outbox table. Transactions without events do without it.
	Table string
	// Source says which service tells the events, for example "orders": it becomes the source on the bus.
	Source string
	// Retention is how long an outbox item is kept before DynamoDB deletes it. The deletion never becomes
	// an event. Default: DefaultRetention.
	Retention time.Duration
}

// Outbox begins transactions. It is safe for concurrent use; make one when the function starts.
type Outbox struct {
	client Client
	config Config
}

// New is an Outbox on the given table.
func New(client Client, config Config) *Outbox {
	config.Retention = cmp.Or(config.Retention, DefaultRetention)
	return &Outbox{client: client, config: config}
}

// FromEnv is New with what the construct gave to the function: the table in OUTBOX_TABLE, the source in
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

// Begin starts a transaction. Nothing is sent before Commit. The context says what the events appended
// belong to: the current trace, and the event that caused them (see CausedBy).
func (o *Outbox) Begin(ctx context.Context) *Tx {
	tx := &Tx{outbox: o}
	tx.actions = tx.space[:0]
	tx.cause, _ = ctx.Value(causeKey{}).(cause)
	if tx.cause.traceparent == "" {
		tx.cause.traceparent = trace.FromContext(ctx)
	}
	return tx
}

type causeKey struct{}

// cause is what follow-on events take over from the event that led to them.
type cause struct{ correlationID, causationID, traceparent string }

// CausedBy is a context for handling the event: events that are appended to transactions begun with it
// carry its id as their causation id, continue its correlation id, and continue its trace if it has one.
func CausedBy(ctx context.Context, event record.Event) context.Context {
	return context.WithValue(ctx, causeKey{}, cause{
		correlationID: cmp.Or(event.CorrelationID, event.ID),
		causationID:   event.ID,
		traceparent:   event.Traceparent,
	})
}

package streams

import (
	"context"
	"errors"
	"time"
)

// ErrTrimmed reports that a checkpoint is older than the oldest record that the stream still has.
var ErrTrimmed = errors.New("the checkpoint is older than the oldest record of the stream")

// Retention is how long a stream stores a record. No record is retried for longer.
// Source: DynamoDB developer guide, Streams, "Data retention limit".
const Retention = 24 * time.Hour

// A Record is one record of a stream.
type Record struct {
	SequenceNumber string
	// Arrival is when the record was written to the stream, as exactly as is known and never too early.
	Arrival time.Time
	// Key identifies the item. Records of one item are delivered in order.
	Key string
	// ID is the outbox event's id where the record has one, for hops.
	ID string
	// Source is the outbox event's source, where the record has an ID.
	Source string
	// Size is the record's size in bytes, as DynamoDB counts it.
	Size int
	// Event is the record in the form that filters, templates and functions use.
	// Source: EventBridge user guide, eb-pipes-dynamodb, "Example event".
	Event any
}

// A Shard is one shard of a stream. Its records follow all records of its parent.
type Shard struct {
	ID     string
	Parent string // empty for a first shard, or when the stream no longer has the parent
}

// A Page is the result of one read of a shard.
type Page struct {
	Records []Record
	// Next is the cursor of the next read. When it is empty, the shard must be opened again after the last record.
	Next string
	// End reports that the shard is closed and has no further record.
	End bool
}

// A Stream is the source of a [Reader].
type Stream interface {
	Shards(ctx context.Context) ([]Shard, error)
	// Open returns a cursor to the records of a shard after the sequence number, or from its oldest record when
	// that is empty. Its error wraps ErrTrimmed when the stream no longer has that place.
	Open(ctx context.Context, shard, after string) (cursor string, err error)
	// Read returns the next records, or none when there are none now. After an error the cursor is no longer
	// valid.
	Read(ctx context.Context, shard, cursor string) (Page, error)
}

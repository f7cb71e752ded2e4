package pipes

import (
	"context"
	"errors"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// ErrTrimmed reports that a checkpoint is older than the oldest record that the stream still has.
var ErrTrimmed = streams.ErrTrimmed

// ErrInternal marks a failure that is not the customer's: throttling, an error of a service, or a failed connection. It
// is retried until the record is too old and does not count as an attempt.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting, "Pipe internal errors".
var ErrInternal = errors.New("internal error")

// Retention is how long a stream stores a record. No record is retried for longer.
const Retention = streams.Retention

// Settings holds what a pipe's template sets about delivery, with AWS's defaults applied.
type Settings struct {
	// For hops: the logical id, and the ARNs of the source, the target and the dead-letter queue.
	Name, SourceARN, TargetARN, DeadLetterARN string
	Region                                    string // of the source, where that is a queue

	Latest     bool          // StartingPosition LATEST; else TRIM_HORIZON
	BatchSize  int           // maximum number of records in one call of the target; at least 1
	Window     time.Duration // how long to wait for a full batch; 0: not at all
	Parallel   int           // maximum number of batches of one shard under way at the same time; at least 1
	MaxAge     time.Duration // records older than this are given up; 0: only those older than Retention
	MaxRetries int           // retries of a record after its first failure; -1: until it is too old
	Bisect     bool          // OnPartialBatchItemFailure AUTOMATIC_BISECT
}

// A Pipe moves the records of one stream, or the messages of one queue, to one target.
type Pipe struct {
	Settings
	// Filter reports whether to send a record; nil sends every record. A record that is not sent advances the
	// checkpoint, and a message that is not sent is deleted.
	Filter func(Record) bool

	// Queue is the source, or nil where that is the Stream, with which go DeadLetter and Checkpoints.
	Queue       messages.Queue
	Stream      Stream
	Target      Target
	DeadLetter  DeadLetter // nil: records that are given up are dropped
	Checkpoints Checkpoints
	Sink        hop.Sink
	Clock       *clock.Clock // nil: the machine's
}

// What a pipe shares with every other reader of a stream.
type (
	// Record is one record of a stream.
	Record = streams.Record
	// Shard is one shard of a stream.
	Shard = streams.Shard
	// Page is the result of one read of a shard.
	Page = streams.Page
	// Stream is the source of a pipe.
	Stream = streams.Stream
	// Checkpoints stores the checkpoints of one pipe's shards.
	Checkpoints = streams.Checkpoints
	// Checkpoint is the place in a shard up to which all records are settled.
	Checkpoint = streams.Checkpoint
)

// A Target receives the records of a pipe.
type Target interface {
	// Deliver sends the records, at most BatchSize, in order. It returns nil when all of them were
	// accepted, else one error for each record, which is nil for those that were. An error that wraps
	// ErrInternal is not caused by the record.
	Deliver(ctx context.Context, records []Record) []error
}

// A DeadLetter sends a dead-letter message for the records that a pipe gives up.
type DeadLetter interface {
	Send(ctx context.Context, rejected Rejected) error
}

// Rejected are records of one batch that a pipe gives up for the same reason.
type Rejected struct {
	Shard     string
	Condition Condition
	Records   []Record // in the order of the stream
}

// A Condition is the reason why records are given up, in AWS's words.
type Condition string

// The conditions.
const (
	RetryAttemptsExhausted Condition = "RetryAttemptsExhausted"
	RecordAgeExceeded      Condition = "RecordAgeExceeded"
)

// Run moves records or messages until ctx is done. It returns an error only when a checkpoint cannot be loaded or
// stored; every other failure is retried and reported in a hop.
func (p *Pipe) Run(ctx context.Context) error {
	if p.Queue != nil {
		p.runQueue(ctx)
		return nil
	}
	r := streams.Reader{
		Latest: p.Latest, BatchSize: p.BatchSize, Window: p.Window, Parallel: p.Parallel, Filter: p.Filter,
		Stream: p.Stream, Checkpoints: p.Checkpoints, Deliver: p.deliver,
		Report: func(detail string) { p.report(hop.Hop{Outcome: hop.Retry, Detail: detail}) },
	}
	return r.Run(ctx)
}

// executionLimit is how long the enrichment and the target of one batch may take together.
// Source: EventBridge user guide, eb-pipes-batching-concurrency, "Throughput and concurrency behavior".
const executionLimit = 5 * time.Minute

// execute sends records to the target and returns what the target returns.
func (p *Pipe) execute(ctx context.Context, records []Record) []error {
	limited, cancel := context.WithTimeout(ctx, executionLimit)
	defer cancel()
	return p.Target.Deliver(limited, records)
}

// deliver returns nil when every record of the batch is settled.
func (p *Pipe) deliver(ctx context.Context, b streams.Batch) error {
	items := make([]*item, len(b.Records))
	for i, r := range b.Records {
		items[i] = &item{Record: r, position: i}
	}
	d := delivery{Pipe: p, batch: b}
	return d.deliver(ctx, items)
}

func (p *Pipe) reportItems(items []*item, h hop.Hop) {
	h.Count, h.Heartbeat = len(items), true
	for _, it := range items {
		h.Heartbeat = h.Heartbeat && hop.IsHeartbeat(it.Source)
		if it.ID != "" {
			h.EventIDs = append(h.EventIDs, it.ID)
		}
	}
	p.report(h)
}

func (p *Pipe) report(h hop.Hop) {
	if p.Sink == nil {
		return
	}
	h.At, h.Stage, h.Resource = time.Now(), hop.Pipe, p.Name
	p.Sink(h)
}

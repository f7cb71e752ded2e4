package pipes

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// The errors of a pipe's stream and target that the pipe handles.
var (
	// ErrTrimmed reports that a checkpoint is older than the oldest record that the stream still has.
	ErrTrimmed = errors.New("the checkpoint is older than the oldest record of the stream")
	// ErrInternal marks a failure that is not the customer's: throttling, an error of a service, or a failed
	// connection. It is retried until the record is too old and does not count as an attempt.
	// Source: EventBridge user guide, eb-pipes-error-troubleshooting, "Pipe internal errors".
	ErrInternal = errors.New("internal error")
)

// Retention is how long a stream stores a record. No record is retried for longer.
// Source: DynamoDB developer guide, Streams, "Data retention limit".
const Retention = 24 * time.Hour

// discoverEvery is how often a pipe lists the shards; after the end of a shard it lists them at once.
const discoverEvery = 5 * time.Second

// Settings holds what a pipe's template sets about delivery, with AWS's defaults applied.
type Settings struct {
	// For hops: the logical id, and the ARNs of the target and of the dead-letter queue.
	Name, TargetARN, DeadLetterARN string

	Latest     bool          // StartingPosition LATEST; else TRIM_HORIZON
	BatchSize  int           // maximum number of records in one call of the target; at least 1
	Window     time.Duration // how long to wait for a full batch; 0: not at all
	Parallel   int           // maximum number of batches of one shard under way at the same time; at least 1
	MaxAge     time.Duration // records older than this are given up; 0: only those older than Retention
	MaxRetries int           // retries of a record after its first failure; -1: until it is too old
	Bisect     bool          // OnPartialBatchItemFailure AUTOMATIC_BISECT
}

// A Pipe moves the records of one stream to one target.
type Pipe struct {
	Settings
	// Filter reports whether to send a record; nil sends every record. A record that is not sent advances the
	// checkpoint.
	Filter func(Record) bool

	Stream      Stream
	Target      Target
	DeadLetter  DeadLetter // nil: records that are given up are dropped
	Checkpoints Checkpoints
	Sink        hop.Sink
}

// A Record is one record of a stream.
type Record struct {
	SequenceNumber string
	// Arrival is when the record was written to the stream, as exactly as is known and never too early.
	Arrival time.Time
	// Key identifies the item. Records of one item are delivered in order.
	Key string
	// ID is the outbox event's id where the record has one, for hops.
	ID string
	// Event is the record in the form that filters and templates use.
	// Source: EventBridge user guide, eb-pipes-dynamodb, "Example event".
	Event map[string]any
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

// A Stream is the source of a pipe.
type Stream interface {
	Shards(ctx context.Context) ([]Shard, error)
	// Open returns a cursor to the records of a shard after the sequence number, or from its oldest record when
	// that is empty. Its error wraps ErrTrimmed when the stream no longer has that place.
	Open(ctx context.Context, shard, after string) (cursor string, err error)
	// Read returns the next records, or none when there are none now. After an error the cursor is no longer
	// valid.
	Read(ctx context.Context, shard, cursor string) (Page, error)
}

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

// Checkpoints stores the checkpoints of one pipe's shards.
type Checkpoints interface {
	// Load returns the checkpoints by shard, or nil when none was ever saved.
	Load() (map[string]Checkpoint, error)
	// Save stores the checkpoints of some shards, all or none. Once it returns they survive a kill -9.
	Save(checkpoints map[string]Checkpoint) error
}

// A Checkpoint is the place in a shard up to which all records are settled.
type Checkpoint struct {
	After string `json:"after,omitempty"` // sequence number of the last settled record; empty: none
	Ended bool   `json:"ended,omitempty"` // the shard is closed and all its records are settled
}

// Run moves records until ctx is done. It returns an error only when a checkpoint cannot be loaded or
// stored; every other failure is retried and reported in a hop.
func (p *Pipe) Run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return p.shards(inner, group) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// shards starts a worker for every shard whose parent has ended.
func (p *Pipe) shards(ctx context.Context, group *errgroup.Group) error {
	checkpoints, err := p.resume(ctx)
	if err != nil {
		return err
	}
	ended := make(chan string)
	started := map[string]bool{}
	failures := 0
	for {
		shards, err := p.Stream.Shards(ctx)
		if err != nil {
			failures++
			if err := p.streamFailed(ctx, failures, "list the shards", err); err != nil {
				return err
			}
			continue
		}
		failures = 0
		for _, shard := range readableShards(shards, checkpoints) {
			if started[shard.ID] {
				continue
			}
			started[shard.ID] = true
			w := newWorker(p, shard.ID, checkpoints[shard.ID])
			group.Go(func() error {
				if err := w.run(ctx); err != nil {
					return err
				}
				select {
				case ended <- shard.ID:
				case <-ctx.Done():
				}
				return nil
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-ended:
			checkpoints[id] = Checkpoint{Ended: true}
		case <-time.After(discoverEvery):
		}
	}
}

// readableShards returns the shards that can be read now: a child only after its parent has ended.
func readableShards(shards []Shard, checkpoints map[string]Checkpoint) []Shard {
	listed := map[string]bool{}
	for _, shard := range shards {
		listed[shard.ID] = true
	}
	var found []Shard
	for _, shard := range shards {
		parentDone := !listed[shard.Parent] || checkpoints[shard.Parent].Ended
		if parentDone && !checkpoints[shard.ID].Ended {
			found = append(found, shard)
		}
	}
	return found
}

// resume loads the checkpoints. For a pipe that starts for the first time with LATEST it stores the checkpoints of the
// newest records at once, so that nothing written from now on is lost, however often the pipe is restarted before it
// has delivered anything.
func (p *Pipe) resume(ctx context.Context) (map[string]Checkpoint, error) {
	checkpoints, err := p.Checkpoints.Load()
	if err != nil || checkpoints != nil {
		return checkpoints, err
	}
	checkpoints = map[string]Checkpoint{}
	for failures := 1; p.Latest; failures++ {
		if checkpoints, err = p.newestCheckpoints(ctx); err == nil {
			break
		}
		if err := p.streamFailed(ctx, failures, "find the newest records", err); err != nil {
			return nil, err
		}
	}
	return checkpoints, p.Checkpoints.Save(checkpoints)
}

// newestCheckpoints reads every shard to its present end and returns the checkpoints there.
func (p *Pipe) newestCheckpoints(ctx context.Context) (map[string]Checkpoint, error) {
	shards, err := p.Stream.Shards(ctx)
	if err != nil {
		return nil, err
	}
	checkpoints := map[string]Checkpoint{}
	for _, shard := range shards {
		r := reader{stream: p.Stream, shard: shard.ID}
		for {
			page, err := r.read(ctx)
			if err != nil {
				return nil, err
			}
			if page.End || len(page.Records) == 0 {
				checkpoints[shard.ID] = Checkpoint{After: r.after, Ended: page.End}
				break
			}
		}
	}
	return checkpoints, nil
}

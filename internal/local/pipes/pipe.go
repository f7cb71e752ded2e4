package pipes

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Errors that the seams report and the pipe acts on.
var (
	// ErrTrimmed says that a position is older than the oldest record that the stream still has.
	ErrTrimmed = errors.New("the position is no longer in the stream")
	// ErrInternal marks a failure that is not the customer's: throttling, an error of a service, no
	// connection. It is retried until the record is too old and does not count as an attempt.
	// Source: EventBridge user guide, eb-pipes-error-troubleshooting, "Pipe internal errors".
	ErrInternal = errors.New("internal error")
)

// Retention is how long a stream keeps a record. No record is retried for longer.
// Source: DynamoDB developer guide, Streams, "Data retention limit".
const Retention = 24 * time.Hour

// discoverEvery is how often a pipe looks for new shards; the children of a shard that ended are found
// at once.
const discoverEvery = 5 * time.Second

// Settings are what a pipe's template says about delivery, with AWS's defaults applied.
type Settings struct {
	// For hops: the logical id, and the ARNs of the target and of the dead-letter queue.
	Name, TargetARN, DeadLetterARN string

	Latest     bool          // StartingPosition LATEST; else TRIM_HORIZON
	BatchSize  int           // at most so many records in one call of the target; at least 1
	Window     time.Duration // how long to wait for a full batch; 0: not at all
	Parallel   int           // batches of one shard that are under way at once; at least 1
	MaxAge     time.Duration // records older than this are given up; 0: only those older than Retention
	MaxRetries int           // retries of a record after its first failure; -1: until it is too old
	Bisect     bool          // OnPartialBatchItemFailure AUTOMATIC_BISECT
}

// Pipe moves the records of one stream to one target.
type Pipe struct {
	Settings
	// Filter says which records to send; nil lets every record through. A record that it does not let
	// through advances the position.
	Filter func(Record) bool

	Stream      Stream
	Target      Target
	DeadLetter  DeadLetter // nil: records that are given up are dropped
	Checkpoints Checkpoints
	Sink        hop.Sink
}

// Record is one record of a stream.
type Record struct {
	SequenceNumber string
	// Arrival is when the record came into the stream, as exactly as is known: never too early.
	Arrival time.Time
	// Key identifies the item. Records of one item are delivered in order.
	Key string
	// ID is the outbox event's id where the record has one, for hops.
	ID string
	// Event is the record as filters and templates see it.
	// Source: EventBridge user guide, eb-pipes-dynamodb, "Example event".
	Event map[string]any
}

// Shard is one shard of a stream. Its records come after all records of its parent.
type Shard struct {
	ID     string
	Parent string // empty for a first shard, or when the parent is gone from the stream
}

// Page is what one read of a shard gives.
type Page struct {
	Records []Record
	// Next is the cursor to go on with. Empty: open the shard again behind the last record.
	Next string
	// End says that the shard is closed and has no further record.
	End bool
}

// Stream is what a pipe reads from.
type Stream interface {
	Shards(ctx context.Context) ([]Shard, error)
	// Open gives a cursor to the records of a shard after the sequence number, or from its oldest when
	// that is empty. An error that wraps ErrTrimmed says that the records there are gone.
	Open(ctx context.Context, shard, after string) (cursor string, err error)
	// Read gives the next records, or none when there are none now. After an error the cursor is
	// worth nothing.
	Read(ctx context.Context, shard, cursor string) (Page, error)
}

// Target is what a pipe delivers to.
type Target interface {
	// Deliver sends the records, at most BatchSize, in order. It returns nil when all of them were
	// accepted, else one error for each record, nil for those that were. An error that wraps
	// ErrInternal is no fault of the record.
	Deliver(ctx context.Context, records []Record) []error
}

// DeadLetter takes note of the records that a pipe gives up.
type DeadLetter interface {
	Send(ctx context.Context, rejected Rejected) error
}

// Rejected are records of one batch that a pipe gives up for the same reason.
type Rejected struct {
	Shard     string
	Condition Condition
	Records   []Record // in the order of the stream
}

// Condition is the reason why records are given up, in AWS's words.
type Condition string

// The conditions.
const (
	RetryAttemptsExhausted Condition = "RetryAttemptsExhausted"
	RecordAgeExceeded      Condition = "RecordAgeExceeded"
)

// Checkpoints stores how far the shards of one pipe are done.
type Checkpoints interface {
	// Load returns the positions by shard, or nil when none was ever saved.
	Load() (map[string]Position, error)
	// Save stores the positions of some shards, all or none. They survive a kill -9 once it returns.
	Save(positions map[string]Position) error
}

// Position is how far a shard is done.
type Position struct {
	After string `json:"after,omitempty"` // sequence number of the last record that is done; empty: none is
	Ended bool   `json:"ended,omitempty"` // the shard is closed and all of it is done
}

// Run moves records until ctx is done. It returns an error only when a position cannot be loaded or
// stored; every other failure is retried and reported in a hop.
func (p *Pipe) Run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return p.shards(inner, group) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// shards starts a worker for every shard whose parent is done.
func (p *Pipe) shards(ctx context.Context, group *errgroup.Group) error {
	positions, err := p.resume(ctx)
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
			if err := p.trouble(ctx, failures, "list the shards", err); err != nil {
				return err
			}
			continue
		}
		failures = 0
		for _, shard := range ready(shards, positions) {
			if started[shard.ID] {
				continue
			}
			started[shard.ID] = true
			w := newWorker(p, shard.ID, positions[shard.ID])
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
			positions[id] = Position{Ended: true}
		case <-time.After(discoverEvery):
		}
	}
}

// ready are the shards that can be read now: parents before children.
func ready(shards []Shard, positions map[string]Position) []Shard {
	listed := map[string]bool{}
	for _, shard := range shards {
		listed[shard.ID] = true
	}
	var found []Shard
	for _, shard := range shards {
		parentDone := !listed[shard.Parent] || positions[shard.Parent].Ended
		if parentDone && !positions[shard.ID].Ended {
			found = append(found, shard)
		}
	}
	return found
}

// resume loads the positions. A pipe that starts for the first time with LATEST gets the positions of
// the newest records, stored at once: what is written from now on is not lost however often the pipe
// is restarted before it has delivered anything.
func (p *Pipe) resume(ctx context.Context) (map[string]Position, error) {
	positions, err := p.Checkpoints.Load()
	if err != nil || positions != nil {
		return positions, err
	}
	positions = map[string]Position{}
	for failures := 1; p.Latest; failures++ {
		if positions, err = p.newest(ctx); err == nil {
			break
		}
		if err := p.trouble(ctx, failures, "find the newest records", err); err != nil {
			return nil, err
		}
	}
	return positions, p.Checkpoints.Save(positions)
}

// newest reads every shard to where it ends now.
func (p *Pipe) newest(ctx context.Context) (map[string]Position, error) {
	shards, err := p.Stream.Shards(ctx)
	if err != nil {
		return nil, err
	}
	positions := map[string]Position{}
	for _, shard := range shards {
		r := reader{stream: p.Stream, shard: shard.ID}
		for {
			page, err := r.read(ctx)
			if err != nil {
				return nil, err
			}
			if page.End || len(page.Records) == 0 {
				positions[shard.ID] = Position{After: r.after, Ended: page.End}
				break
			}
		}
	}
	return positions, nil
}

package streams

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// discoverEvery is how often a reader lists the shards; after the end of a shard it lists them at once.
const discoverEvery = 5 * time.Second

// A Reader reads all shards of one stream and delivers their records in batches.
type Reader struct {
	Latest    bool          // starts after the newest record; else at the oldest
	BatchSize int           // maximum number of records in one batch; at least 1
	MaxBytes  int           // about how many bytes of records a batch waits for at most; 0: no limit
	Window    time.Duration // how long to wait for a full batch; 0: not at all
	Parallel  int           // maximum number of batches of one shard under way at the same time; at least 1
	// Filter reports whether to deliver a record; nil delivers every record. A record that is not delivered advances
	// the checkpoint.
	Filter func(Record) bool

	Stream      Stream
	Checkpoints Checkpoints
	// Deliver returns when it has settled every record of the batch, or with an error that ends the reader. It is
	// called for several batches at the same time.
	Deliver func(context.Context, Batch) error
	// CaughtUp is called when Deliver has had every record of a shard that was written before a time: after a read that
	// found nothing more, and when the shard has ended, before that is stored. Deliver has returned by then. Its error ends
	// the reader; it may be nil.
	CaughtUp func(ctx context.Context, shard string, until time.Time, ended bool) error
	// Report receives what is wrong with the stream, for hops; it may be nil.
	Report func(detail string)
}

// Run reads until ctx is done. It returns an error only when a checkpoint cannot be loaded or stored or Deliver
// returns one; every other failure is retried and reported.
func (r *Reader) Run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return r.shards(inner, group) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// shards starts a worker for every shard whose parent has ended.
func (r *Reader) shards(ctx context.Context, group *errgroup.Group) error {
	checkpoints, err := r.resume(ctx)
	if err != nil {
		return err
	}
	ended := make(chan string)
	started := map[string]bool{}
	failures := 0
	for {
		shards, err := r.Stream.Shards(ctx)
		if err != nil {
			failures++
			if err := r.streamFailed(ctx, failures, "list the shards", err); err != nil {
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
			w := newWorker(r, shard.ID, checkpoints[shard.ID])
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

// resume loads the checkpoints. For a reader that starts for the first time with Latest it stores the checkpoints of
// the newest records at once, so that nothing written from now on is lost, however often it is restarted before it has
// delivered anything.
func (r *Reader) resume(ctx context.Context) (map[string]Checkpoint, error) {
	checkpoints, err := r.Checkpoints.Load()
	if err != nil || checkpoints != nil {
		return checkpoints, err
	}
	if r.Latest {
		return r.skipToNewest(ctx)
	}
	checkpoints = map[string]Checkpoint{}
	return checkpoints, r.Checkpoints.Save(checkpoints)
}

// SkipToNewest stores the checkpoints of the newest records, so that a reader that is started after it delivers only
// what comes from now on.
func (r *Reader) SkipToNewest(ctx context.Context) error {
	_, err := r.skipToNewest(ctx)
	return err
}

func (r *Reader) skipToNewest(ctx context.Context) (map[string]Checkpoint, error) {
	for failures := 1; ; failures++ {
		checkpoints, err := r.newestCheckpoints(ctx)
		if err == nil {
			return checkpoints, r.Checkpoints.Save(checkpoints)
		}
		if err := r.streamFailed(ctx, failures, "find the newest records", err); err != nil {
			return nil, err
		}
	}
}

// newestCheckpoints reads every shard to its present end and returns the checkpoints there.
func (r *Reader) newestCheckpoints(ctx context.Context) (map[string]Checkpoint, error) {
	shards, err := r.Stream.Shards(ctx)
	if err != nil {
		return nil, err
	}
	checkpoints := map[string]Checkpoint{}
	for _, shard := range shards {
		p := place{stream: r.Stream, shard: shard.ID}
		for {
			page, err := p.read(ctx)
			if err != nil {
				return nil, err
			}
			if page.End || len(page.Records) == 0 {
				checkpoints[shard.ID] = Checkpoint{After: p.after, Ended: page.End}
				break
			}
		}
	}
	return checkpoints, nil
}

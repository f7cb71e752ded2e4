package pipes

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A worker moves the records of one shard: it gathers some, delivers all of them, and continues.
type worker struct {
	*Pipe
	reader reader
}

func newWorker(p *Pipe, shard string, from Checkpoint) *worker {
	w := &worker{Pipe: p, reader: reader{stream: p.Stream, shard: shard, after: from.After}}
	w.reader.trimmed = func() {
		p.report(hop.Hop{Outcome: hop.Retry, Detail: fmt.Sprintf("%v; continuing shard %s at its oldest record", ErrTrimmed, shard)})
	}
	return w
}

// run moves records until the shard has ended and all its records are settled; then it returns nil.
func (w *worker) run(ctx context.Context) error {
	for {
		g, err := w.gather(ctx)
		if err != nil {
			return err
		}
		if err := w.deliver(ctx, g); err != nil {
			return err
		}
		if g.end {
			return w.Checkpoints.Save(map[string]Checkpoint{w.reader.shard: {After: w.reader.after, Ended: true}})
		}
	}
}

// gathered holds records that are delivered together.
type gathered struct {
	records []Record
	pass    []bool    // the filter's result for each record
	since   time.Time // a time at which none of the records was in the stream yet
	end     bool      // the shard has no further record
}

// gather reads until there is something to deliver: a page of records, or with a batching window as many as fill the
// batches.
func (w *worker) gather(ctx context.Context) (gathered, error) {
	var g gathered
	var matching, failures int
	var full time.Time
	idle := idleMin
	for {
		began := time.Now()
		page, err := w.reader.read(ctx)
		if err != nil {
			failures++
			if err := w.streamFailed(ctx, failures, "read", err); err != nil {
				return g, err
			}
			continue
		}
		failures = 0
		if len(g.records) == 0 && len(page.Records) > 0 {
			g.since = w.reader.polled
			if g.since.IsZero() {
				g.since = began
			}
		}
		w.reader.polled = began
		for _, record := range page.Records {
			pass := w.Filter == nil || w.Filter(record)
			g.records, g.pass = append(g.records, record), append(g.pass, pass)
			if pass {
				matching++
			}
			if matching == 1 && full.IsZero() {
				full = time.Now().Add(w.Window)
			}
		}
		g.end = page.End
		left := time.Until(full)
		if g.end || len(g.records) > 0 && (matching == 0 || left <= 0 || matching >= w.BatchSize*w.Parallel) {
			return g, nil
		}
		if len(page.Records) > 0 {
			idle = idleMin
			continue
		}
		pause := idle
		if matching > 0 {
			pause = min(idle, left)
		}
		if err := sleep(ctx, pause); err != nil {
			return g, err
		}
		idle = min(idle*3/2, idleMax)
	}
}

// deliver delivers the records in Settings.Parallel lanes at the same time. Records of one item share a lane, so
// they keep their order.
func (w *worker) deliver(ctx context.Context, g gathered) error {
	p := &progress{checkpoints: w.Checkpoints, shard: w.reader.shard, records: g.records, done: make([]bool, len(g.records))}
	lanes := make([][]*item, w.Parallel)
	var filtered []*item
	for i, record := range g.records {
		it := &item{Record: record, index: i}
		if g.pass[i] {
			lane := lane(record.Key, w.Parallel)
			lanes[lane] = append(lanes[lane], it)
		} else {
			filtered = append(filtered, it)
		}
	}
	if err := p.settle(filtered); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, lane := range lanes {
		group.Go(func() error {
			d := delivery{Pipe: w.Pipe, shard: w.reader.shard, progress: p, since: g.since}
			for batch := range slices.Chunk(lane, w.BatchSize) {
				if err := d.deliver(ctx, batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func lane(key string, lanes int) int {
	if lanes == 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}

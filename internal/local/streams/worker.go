package streams

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"
)

// A worker moves the records of one shard: it gathers some, delivers all of them, and continues.
type worker struct {
	*Reader
	place place
}

func newWorker(r *Reader, shard string, from Checkpoint) *worker {
	w := &worker{Reader: r, place: place{stream: r.Stream, shard: shard, after: from.After}}
	w.place.trimmed = func() {
		r.report(fmt.Sprintf("%v; continuing shard %s at its oldest record", ErrTrimmed, shard))
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
			if err := w.caughtUp(ctx, time.Now(), true); err != nil {
				return err
			}
			return w.Checkpoints.Save(map[string]Checkpoint{w.place.shard: {After: w.place.after, Ended: true}})
		}
	}
}

// gathered holds records that are delivered together.
type gathered struct {
	records  []Record
	pass     []bool // the filter's result for each record
	matching int    // how many pass
	bytes    int    // of those that pass
	since    time.Time
	end      bool // the shard has no further record
}

// gather reads until there is something to deliver: a page of records, or with a batching window as many as fill the
// batches.
func (w *worker) gather(ctx context.Context) (gathered, error) {
	var g gathered
	var failures int
	var full time.Time
	idle := idleMin
	for {
		began := time.Now()
		page, err := w.place.read(ctx)
		if err != nil {
			failures++
			if err := w.streamFailed(ctx, failures, "read", err); err != nil {
				return g, err
			}
			continue
		}
		failures = 0
		if len(g.records) == 0 && len(page.Records) > 0 {
			g.since = w.place.polled
			if g.since.IsZero() {
				g.since = began
			}
		}
		w.place.polled = began
		w.add(&g, page)
		if g.matching > 0 && full.IsZero() {
			full = time.Now().Add(w.Window)
		}
		left := time.Until(full)
		if g.end || len(g.records) > 0 && (g.matching == 0 || left <= 0 || w.isFull(g)) {
			return g, nil
		}
		if len(page.Records) > 0 {
			idle = idleMin
			continue
		}
		if len(g.records) == 0 {
			if err := w.caughtUp(ctx, began, false); err != nil {
				return g, err
			}
		}
		pause := idle
		if g.matching > 0 {
			pause = min(idle, left)
		}
		if err := smithytime.SleepWithContext(ctx, pause); err != nil {
			return g, err
		}
		idle = min(idle*3/2, idleMax)
	}
}

func (w *worker) caughtUp(ctx context.Context, until time.Time, ended bool) error {
	if w.CaughtUp == nil {
		return nil
	}
	return w.CaughtUp(ctx, w.place.shard, until, ended)
}

// add adds the records of a page.
func (w *worker) add(g *gathered, page Page) {
	for _, record := range page.Records {
		pass := w.Filter == nil || w.Filter(record)
		g.records, g.pass = append(g.records, record), append(g.pass, pass)
		if pass {
			g.matching++
			g.bytes += record.Size
		}
	}
	g.end = page.End
}

// isFull reports whether the records fill as many batches as may be under way.
func (w *worker) isFull(g gathered) bool {
	return g.matching >= w.BatchSize*w.Parallel || w.MaxBytes > 0 && g.bytes >= w.MaxBytes*w.Parallel
}

// deliver delivers the records in Parallel lanes at the same time. Records of one item share a lane, so they keep
// their order.
func (w *worker) deliver(ctx context.Context, g gathered) error {
	p := &progress{checkpoints: w.Checkpoints, shard: w.place.shard, records: g.records, done: make([]bool, len(g.records))}
	lanes := make([][]int, w.Parallel)
	var filtered []int
	for i, record := range g.records {
		if g.pass[i] {
			lane := lane(record.Key, w.Parallel)
			lanes[lane] = append(lanes[lane], i)
		} else {
			filtered = append(filtered, i)
		}
	}
	if err := p.settle(filtered); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, lane := range lanes {
		group.Go(func() error {
			for len(lane) > 0 {
				n := w.fit(g.records, lane)
				if err := w.Deliver(ctx, newBatch(p, lane[:n], g.since)); err != nil {
					return err
				}
				lane = lane[n:]
			}
			return nil
		})
	}
	return group.Wait()
}

// fit returns how many of the first records make the next batch, at least one.
func (w *worker) fit(records []Record, lane []int) int {
	n, bytes := 0, 0
	for n < len(lane) && n < w.BatchSize {
		bytes += records[lane[n]].Size
		if n > 0 && w.MaxBytes > 0 && bytes > w.MaxBytes {
			break
		}
		n++
	}
	return n
}

func newBatch(p *progress, indexes []int, since time.Time) Batch {
	b := Batch{Shard: p.shard, Since: since, progress: p, indexes: indexes}
	for _, i := range indexes {
		b.Records = append(b.Records, p.records[i])
	}
	return b
}

func lane(key string, lanes int) int {
	if lanes == 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(lanes))
}

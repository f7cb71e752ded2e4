package faults

import (
	"context"
	"sync/atomic"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

// Pipe returns a function that replaces the stream, target and checkpoints of a pipe, or its queue in c, with ones that
// inject faults.
func (i *Injector) Pipe(c *cloud.Cloud) func(*pipes.Pipe) {
	ofQueue := i.Queue(c)
	return func(p *pipes.Pipe) {
		if p.Queue != nil {
			p.Queue = ofQueue(p.SourceARN, p.Queue)
			return
		}
		restart := new(atomic.Bool)
		p.Stream = &stream{Stream: p.Stream, Injector: i, pipe: p.Name, shards: map[string]*shard{}}
		p.Target = &target{Injector: i, pipe: p.Name, next: p.Target, restart: restart}
		p.Checkpoints = &checkpoints{Checkpoints: p.Checkpoints, restart: restart}
	}
}

// A target changes the order of the records and decides about restarts. It does so after the pipe has read the
// records, so that the new order does not let a stored checkpoint pass a record that is still to be delivered.
type target struct {
	*Injector
	pipe    string
	next    pipes.Target
	restart *atomic.Bool // the next checkpoint is not stored
}

// Deliver implements pipes.Target.
func (t *target) Deliver(ctx context.Context, records []pipes.Record) []error {
	if t.isIdle() {
		return t.next.Deliver(ctx, records)
	}
	order := t.reorder(records)
	arranged := make([]pipes.Record, len(records))
	for at, from := range order {
		arranged[at] = records[from]
	}
	errs := t.next.Deliver(ctx, arranged)
	for at, r := range arranged {
		if (errs == nil || errs[at] == nil) && t.fires(PipeRestart, t.record(r, t.pipe)) {
			t.restart.Store(true)
		}
	}
	if errs == nil {
		return nil
	}
	inOrder := make([]error, len(errs))
	for at, from := range order {
		inOrder[from] = errs[at]
	}
	return inOrder
}

// reorder returns a permutation that keeps the order of the records of each item: only neighbors of different
// items swap places.
func (t *target) reorder(records []pipes.Record) []int {
	order := make([]int, len(records))
	for at := range order {
		order[at] = at
	}
	for at := 1; at < len(order); at++ {
		before, this := records[order[at-1]], records[order[at]]
		if before.Key != this.Key && t.fires(StreamReorder, t.record(this, t.pipe)) {
			order[at-1], order[at] = order[at], order[at-1]
		}
	}
	return order
}

// checkpoints restarts the pipe in place of storing a checkpoint.
type checkpoints struct {
	pipes.Checkpoints
	restart *atomic.Bool
}

// Save implements pipes.Checkpoints.
func (c *checkpoints) Save(checkpoints map[string]pipes.Checkpoint) error {
	if c.restart.Swap(false) {
		return pipes.ErrRestart
	}
	return c.Checkpoints.Save(checkpoints)
}

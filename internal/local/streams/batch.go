package streams

import (
	"fmt"
	"sync"
	"time"
)

// A Batch holds records of one shard that are delivered together, in the order of the stream.
type Batch struct {
	Shard   string
	Records []Record
	Since   time.Time // a time at which none of the records was in the stream yet

	progress *progress
	indexes  []int // of the records, in the progress
}

// Settle marks the records at these positions of the batch as settled: delivered, or given up for good. The
// checkpoint is durable when it returns.
func (b Batch) Settle(positions ...int) error {
	indexes := make([]int, len(positions))
	for i, at := range positions {
		indexes[i] = b.indexes[at]
	}
	return b.progress.settle(indexes)
}

// A progress stores the checkpoint of a shard while records that were gathered together are settled, in whatever
// order. The checkpoint never passes a record that is not settled.
type progress struct {
	checkpoints Checkpoints
	shard       string
	records     []Record

	mu   sync.Mutex
	done []bool
	low  int // all records before this one are settled
}

// settle marks the records with these indexes as settled. The checkpoint is durable when it returns.
func (p *progress) settle(indexes []int) error {
	if len(indexes) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range indexes {
		p.done[i] = true
	}
	before := p.low
	for p.low < len(p.done) && p.done[p.low] {
		p.low++
	}
	if p.low == before {
		return nil
	}
	checkpoint := Checkpoint{After: p.records[p.low-1].SequenceNumber}
	if err := p.checkpoints.Save(map[string]Checkpoint{p.shard: checkpoint}); err != nil {
		return fmt.Errorf("store the checkpoint of shard %s: %w", p.shard, err)
	}
	return nil
}

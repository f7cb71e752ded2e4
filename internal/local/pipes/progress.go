package pipes

import (
	"fmt"
	"sync"
)

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

// settle marks the records as settled: the target or the dead-letter queue has accepted them, or the filter did not
// pass them. The checkpoint is durable when it returns.
func (p *progress) settle(items []*item) error {
	if len(items) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, it := range items {
		p.done[it.index] = true
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

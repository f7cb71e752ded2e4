package running

import (
	"maps"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A Tap is a console that also counts the hops of a run and keeps its summary, for the page. It costs a run one addition for
// each hop, whether a page is open or not.
type Tap struct {
	console.Console

	mu      sync.Mutex
	counts  map[way]int
	summary console.Summary
	updates int // how many updates there were
}

// A way is what hops have in common that go from one place to another.
type way struct {
	resource, source, target string
	outcome                  hop.Outcome
}

// NewTap returns a Tap in front of a console.
func NewTap(out console.Console) *Tap { return &Tap{Console: out, counts: map[way]int{}} }

// Ready keeps the summary, and passes it on.
func (t *Tap) Ready(s console.Summary) {
	t.mu.Lock()
	t.summary = s
	t.mu.Unlock()
	t.Console.Ready(s)
}

// Updated implements [console.Updater]: it keeps the summary of what runs now, and passes it on.
func (t *Tap) Updated(s console.Summary) {
	t.mu.Lock()
	t.summary = s
	t.updates++
	t.mu.Unlock()
	if names, ok := t.Console.(console.Updater); ok {
		names.Updated(s)
	}
}

// running returns what runs, and after how many updates.
func (t *Tap) running() (console.Summary, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.summary, t.updates
}

// Hop counts a hop, and passes it on.
func (t *Tap) Hop(h hop.Hop) {
	t.count(h)
	t.Console.Hop(h)
}

// count counts what moves. A log line and a write move nothing, and heartbeats are no events of a user.
func (t *Tap) count(h hop.Hop) {
	if h.Heartbeat || h.Stage == hop.Schedule || h.Stage == hop.Effect || h.Stage == hop.Function || h.Stage == hop.Platform {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := min(len(h.FailedIDs), h.Count)
	if failed > 0 && h.Outcome == hop.Retry { // the others of the batch were handled
		t.counts[way{h.Resource, h.Source, h.Target, hop.OK}] += h.Count - failed
	} else {
		failed = max(h.Count, 1)
	}
	t.counts[way{h.Resource, h.Source, h.Target, h.Outcome}] += failed
}

// snapshot returns the counts since the run started.
func (t *Tap) snapshot() map[way]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

package access

import "sync"

// maxKinds limits what a run remembers of its notices and records: a function may ask for any number of resources.
const maxKinds = 10_000

// A once knows which kinds of things it has seen, up to maxKinds. The zero value has seen none.
type once struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first reports whether a kind was not seen before, and whether it is the last one for which first is true.
func (o *once) first(kind string) (first, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[kind] || len(o.seen) == maxKinds {
		return false, false
	}
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	o.seen[kind] = true
	return true, len(o.seen) == maxKinds
}

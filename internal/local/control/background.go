package control

import "sync"

// A background runs what nobody waits for, until it is closed. The zero value is open.
type background struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// run runs do, unless the background is closed. It reports whether it does.
func (b *background) run(do func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.running.Go(do)
	return true
}

// close returns when nothing runs and nothing more will: a request may still be handled after its server was closed.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.running.Wait()
}

package control

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Requests that are still handled start nothing that outlives Close.
func TestNothingRunsAfterClose(t *testing.T) {
	for range 200 {
		var b background
		var closed atomic.Bool
		var late atomic.Int32
		var handlers sync.WaitGroup
		for range 4 {
			handlers.Go(func() {
				for b.run(func() {
					if closed.Load() {
						late.Add(1)
					}
				}) {
				}
			})
		}
		b.close()
		closed.Store(true)
		handlers.Wait()
		if n := late.Load(); n > 0 {
			t.Fatalf("%d invocations ran after Close", n)
		}
	}
	var b background
	b.close()
	if b.run(func() { t.Error("it runs") }) {
		t.Error("a closed background reports that it runs something")
	}
}

// Package workers runs the parts of a service that callers of AWS's API can stop and start again while the service runs.
package workers

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A Group starts workers while it runs. Its zero value does not run. The service's lock guards it and its workers.
type Group struct {
	start func(*Worker, func(context.Context) error) // nil while the group does not run
}

// A Worker is one part of a service. Its zero value is not started.
type Worker struct {
	stop func() // nil while it is not started
}

// Run runs until ctx is done and all workers have ended, or one returns an error. It calls begin, with the lock held, to
// start those that run from the beginning.
func (g *Group) Run(ctx context.Context, lock sync.Locker, begin func()) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { // keeps the group open for workers that are started later
		<-ctx.Done()
		return nil
	})
	lock.Lock()
	g.start = func(w *Worker, run func(context.Context) error) {
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		w.stop = func() { stop(); <-ended }
		group.Go(func() error {
			defer close(ended)
			return run(running)
		})
	}
	begin()
	lock.Unlock()
	defer func() {
		lock.Lock()
		defer lock.Unlock()
		g.start = nil
	}()
	return group.Wait()
}

// Start starts a worker, unless the group does not run.
func (g *Group) Start(w *Worker, run func(context.Context) error) {
	if g.start != nil {
		g.start(w, run)
	}
}

// Stop stops a worker that was started, and returns when it has ended.
func (w *Worker) Stop() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

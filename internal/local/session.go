package local

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A Session is a run that has started. Its methods may be called from many goroutines.
type Session struct {
	// Summary is what [console.Console.Ready] got.
	Summary console.Summary

	options Options
	out     console.Console
	data    *data
	events  *events.Store
	faults  *faults.Injector

	mu      sync.RWMutex
	running *deployed

	ended   chan struct{} // closed when err is set
	err     error
	cleanup []func() // in the order in which things were opened
}

// deployed are stacks that run, with their services.
type deployed struct {
	*services
	stacks      []*template.Stack
	deployments []*template.Deployment
}

// current returns what runs. Other templates have other services.
func (s *Session) current() *deployed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.running
}

// work runs the workers, and with --watch applies updates, until ctx is done or a part fails.
func (s *Session) work(ctx context.Context) {
	s.ended = make(chan struct{})
	updates := make(chan update)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.applyAll(ctx, updates) })
	if s.options.Watch {
		group.Go(func() error { return s.watch(ctx, updates) })
	}
	go func() {
		defer close(s.ended)
		s.err = group.Wait()
	}()
}

// Wait returns when the session has ended: with the error of the part that failed, or when it was told to stop.
func (s *Session) Wait() error {
	<-s.ended
	return s.err
}

// Close ends the session and everything that it has started.
func (s *Session) Close() {
	for _, clean := range slices.Backward(s.cleanup) {
		clean()
	}
	s.cleanup = nil
}

// Cloud returns the account of the stack, as the developer sees it: clients of it may do everything.
func (s *Session) Cloud() *cloud.Cloud { return s.current().cloud }

// Events returns what the run knows of each event.
func (s *Session) Events() *events.Store { return s.events }

// Deployments returns the stacks with their resources, in the order in which they were deployed.
func (s *Session) Deployments() []*template.Deployment { return s.current().deployments }

// Find returns the resource with that logical id, ARN or Ref, and whether there is one: see [template.Deployment.Find].
func (s *Session) Find(reference string) (template.Deployed, bool) {
	for _, d := range s.current().deployments {
		if r, found := d.Find(reference); found {
			return r, true
		}
	}
	return template.Deployed{}, false
}

// resources returns the resources of all stacks that have the type, in the order in which they were created.
func (s *Session) resources(resourceType string) []template.Deployed {
	var all []template.Deployed
	for _, d := range s.current().deployments {
		for _, r := range d.Resources {
			if r.Type == resourceType {
				all = append(all, r)
			}
		}
	}
	return all
}

// Faults returns what injects faults, which may be set at any time.
func (s *Session) Faults() *faults.Injector { return s.faults }

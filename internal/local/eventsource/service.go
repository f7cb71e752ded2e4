package eventsource

import (
	"context"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Config holds what [New] needs.
type Config struct {
	Cloud *cloud.Cloud
	// Invoke runs a function and returns its response, or an error when the function failed or did not run.
	Invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	Sink   hop.Sink // receives a hop of stage hop.Queue for each invocation
	// Wrap returns the queue to use in place of q, for example one that injects faults. Default: q itself.
	Wrap func(queueARN string, q Queue) Queue
}

// A Service runs the stack's event source mappings.
type Service struct {
	cfg     Config
	pollers []*poller
}

// New returns a Service without event source mappings. It starts nothing.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Lambda::EventSourceMapping": s.provision}
}

// Run polls for all enabled event source mappings until ctx is done. It then cancels the invocations that are under
// way, and their messages become visible again after their visibility timeout.
func (s *Service) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, m := range s.pollers {
		running.Go(func() { m.run(ctx) })
	}
	running.Wait()
	return nil
}

package eventsource

import (
	"context"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Config says what the mappings work with.
type Config struct {
	Cloud *cloud.Cloud
	// Invoke runs a function and returns its response. Its error means that the function failed or did not run.
	Invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	Sink   hop.Sink // gets one hop.Queue an invocation
	// Wrap may put something between a mapping and its queue, for example faults. Default: nothing.
	Wrap func(queueARN string, q Queue) Queue
}

// Service holds the stack's event source mappings.
type Service struct {
	cfg      Config
	mappings []*mapping
}

// New is a Service without mappings. It starts nothing.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Provisions are the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Lambda::EventSourceMapping": s.provision}
}

// Run polls for all enabled mappings until ctx is done. Invocations that are under way then are cancelled, and
// their messages come back after their visibility timeout.
func (s *Service) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, m := range s.mappings {
		running.Go(func() { m.run(ctx) })
	}
	running.Wait()
	return nil
}

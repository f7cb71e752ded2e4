package eventsource

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/drift"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/workers"
)

// Config holds what [New] needs.
type Config struct {
	Cloud *cloud.Cloud
	// DB stores the checkpoints of streams, for which it is required, and which mappings were disabled; it must not be
	// opened with NoSync.
	DB *bbolt.DB
	// Invoke runs a function and returns its response, or an error when the function failed or did not run.
	Invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// Sink receives a hop of stage hop.Queue or hop.Stream for each invocation.
	Sink hop.Sink
	// Clock tells the time that retries of streams wait for, and how old a record is. Default: the machine's.
	Clock *clock.Clock
	// Received is called with the body of each message of a queue before its function is invoked. Default: nothing.
	Received func(body json.RawMessage)
	// Alone reports whether the function is to be invoked with a message of a standard queue alone. Default: never.
	Alone func(functionARN string, body json.RawMessage) bool
	// Timeout returns a function's timeout, and whether there is such a function. Default: nothing is known about
	// functions.
	Timeout func(arn string) (timeout time.Duration, found bool)
	// Wrap returns the queue to use in place of q, for example one that injects faults. Default: q itself.
	Wrap func(queueARN string, q messages.Queue) messages.Queue
}

// A Service runs the stack's event source mappings.
type Service struct {
	cfg   Config
	drift *drift.Store

	mu       sync.Mutex
	mappings []*mapping // in the order of the template
	running  workers.Group
}

// New returns a Service without event source mappings. It starts nothing.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, drift: drift.New(cfg.DB, "event source mappings")}
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Lambda::EventSourceMapping": s.provision}
}

// Run polls for all enabled event source mappings until ctx is done. It then cancels the invocations that are under
// way: their messages become visible again after their visibility timeout, and their stream records are read again by
// the next run. It returns an error when the checkpoint of a stream cannot be loaded or stored.
func (s *Service) Run(ctx context.Context) error {
	return s.running.Run(ctx, &s.mu, func() {
		for _, m := range s.mappings {
			if m.Enabled {
				s.running.Start(&m.worker, m.source.run)
			}
		}
	})
}

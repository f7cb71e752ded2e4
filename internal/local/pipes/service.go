package pipes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/drift"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/workers"
)

// Config holds what [New] needs.
type Config struct {
	// Cloud has all endpoints before the first pipe is provisioned. Required.
	Cloud *cloud.Cloud
	// DB stores the checkpoints and what is changed on pipes; it must not be opened with NoSync. Required.
	DB *bbolt.DB
	// Sink receives the hops. Default: they are discarded.
	Sink hop.Sink
	// HasFunction reports whether there is a function with that ARN. Default: nothing is known about functions.
	HasFunction func(arn string) bool
	// Wrap may replace a pipe's queue or stream, target and checkpoints, for example with ones that inject faults. Default:
	// they stay as they are.
	Wrap func(*Pipe)
	// Clock tells the time that retries wait for, and how old a record is. Default: the machine's.
	Clock *clock.Clock
	// TrimStopped makes the records that come while a pipe is stopped leave its stream before it is started again, as
	// on AWS after a day.
	TrimStopped bool
}

// A Service runs the template's pipes.
type Service struct {
	config    Config
	drift     *drift.Store
	creations *drift.Store

	mu      sync.Mutex
	pipes   []*managed // in the order of the template
	running workers.Group
}

// New returns a Service without pipes.
func New(config Config) *Service {
	return &Service{config: config, drift: drift.New(config.DB, "pipes"), creations: drift.New(config.DB, "creations of pipes")}
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Pipes::Pipe": s.provision}
}

// ErrRestart makes a pipe restart from the stored checkpoints when the Checkpoints that Wrap has set return it from
// Save. This happens on AWS when the machine of a worker is replaced.
var ErrRestart = errors.New("the pipe restarts")

// Run moves records until ctx is done. It returns an error when the checkpoint of a pipe cannot be loaded
// or stored.
func (s *Service) Run(ctx context.Context) error {
	return s.running.Run(ctx, &s.mu, func() {
		for _, m := range s.pipes {
			if m.Running {
				s.running.Start(&m.worker, m.run)
			}
		}
	})
}

// run runs the pipe, again after each [ErrRestart], until ctx is done.
func (m *managed) run(ctx context.Context) error {
	err := m.pipe.Run(ctx)
	for errors.Is(err, ErrRestart) {
		err = m.pipe.Run(ctx)
	}
	if err != nil {
		return fmt.Errorf("pipe %s: %w", m.pipe.Name, err)
	}
	return nil
}

package pipes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/drift"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Config holds what [New] needs.
type Config struct {
	// Cloud has the endpoints of DynamoDB, SQS and EventBridge before the first pipe is provisioned. Required.
	Cloud *cloud.Cloud
	// DB stores the checkpoints and what is changed on pipes; it must not be opened with NoSync. Required.
	DB *bbolt.DB
	// Sink receives the hops. Default: they are discarded.
	Sink hop.Sink
	// Wrap may replace a pipe's stream, target and checkpoints, for example with ones that inject faults. Default:
	// they stay as they are.
	Wrap func(*Pipe)
	// TrimStopped makes the records that come while a pipe is stopped leave its stream before it is started again, as
	// on AWS after a day.
	TrimStopped bool
}

// A Service runs the template's pipes.
type Service struct {
	config    Config
	drift     *drift.Store
	creations *drift.Store

	mu    sync.Mutex
	pipes []*managed // in the order of the template
	// start runs a pipe; nil while the service does not run.
	start func(*managed)
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
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { // keeps the group open for pipes that are started later
		<-ctx.Done()
		return nil
	})
	s.mu.Lock()
	s.start = func(m *managed) {
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		m.stop = func() { stop(); <-ended }
		group.Go(func() error {
			defer close(ended)
			return runPipe(running, m.pipe)
		})
	}
	for _, m := range s.pipes {
		if m.Running {
			s.start(m)
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.start = nil
	}()
	return group.Wait()
}

// runPipe runs a pipe, again after each [ErrRestart], until ctx is done.
func runPipe(ctx context.Context, pipe *Pipe) error {
	err := pipe.Run(ctx)
	for errors.Is(err, ErrRestart) {
		err = pipe.Run(ctx)
	}
	if err != nil {
		return fmt.Errorf("pipe %s: %w", pipe.Name, err)
	}
	return nil
}

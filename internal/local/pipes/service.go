package pipes

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Config holds what [New] needs.
type Config struct {
	// Cloud has the endpoints of DynamoDB, SQS and EventBridge before the first pipe is provisioned. Required.
	Cloud *cloud.Cloud
	// DB stores the checkpoints; it must not be opened with NoSync. Required.
	DB *bbolt.DB
	// Sink receives the hops. Default: they are discarded.
	Sink hop.Sink
	// Wrap may replace a pipe's stream, target and checkpoints, for example with ones that inject faults. Default:
	// they stay as they are.
	Wrap func(*Pipe)
}

// A Service runs the template's pipes.
type Service struct {
	config Config
	pipes  []*Pipe
}

// New returns a Service without pipes.
func New(config Config) *Service { return &Service{config: config} }

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
	for _, pipe := range s.pipes {
		group.Go(func() error {
			err := pipe.Run(ctx)
			for errors.Is(err, ErrRestart) {
				err = pipe.Run(ctx)
			}
			if err != nil {
				return fmt.Errorf("pipe %s: %w", pipe.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

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

// Config is what pipes need of the local run.
type Config struct {
	// Cloud has the endpoints of DynamoDB, SQS and EventBridge before the first pipe is provisioned. Required.
	Cloud *cloud.Cloud
	// DB keeps the positions; it must not be opened with NoSync. Required.
	DB *bbolt.DB
	// Sink takes the hops. Default: thrown away.
	Sink hop.Sink
	// Wrap may put something between a pipe and what it talks to, for example faults. Default: nothing.
	Wrap func(*Pipe)
}

// Service runs the template's pipes.
type Service struct {
	config Config
	pipes  []*Pipe
}

// New is a Service without pipes.
func New(config Config) *Service { return &Service{config: config} }

// Provisions are the resource types that this package creates.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Pipes::Pipe": s.provision}
}

// ErrRestart makes a pipe begin anew, from the positions that are stored, when something put there by Wrap
// returns it in place of storing one: what a worker does whose machine is replaced.
var ErrRestart = errors.New("the pipe restarts")

// Run moves records until ctx is done. It returns an error when the position of a pipe cannot be loaded
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

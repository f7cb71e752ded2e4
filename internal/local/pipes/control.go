package pipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/streams"
	"github.com/outboxkit/transactional-outbox/internal/local/workers"
)

// ErrNotFound is wrapped when no pipe has the name.
var ErrNotFound = errors.New("no such pipe")

// A State is the state of a pipe, in AWS's words. A change takes no time here, so STARTING, STOPPING and UPDATING are
// never seen. Source: Pipes API reference, DescribePipe, CurrentState.
type State string

// The states.
const (
	Running State = "RUNNING"
	Stopped State = "STOPPED"
)

// A Description describes a pipe, with what was changed since its template made it.
type Description struct {
	Name, LogicalID, ARN string
	Source, Target       string // ARNs
	Enrichment           string // ARN, or empty
	RoleARN              string
	DesiredState         State
	CurrentState         State
	StateReason          string
	Filters              []string // patterns; none: everything passes
	// SourceParameters, EnrichmentParameters and TargetParameters are the template's.
	SourceParameters, EnrichmentParameters, TargetParameters map[string]any
	Created, Modified                                        time.Time
}

// state is what calls of the API change on a pipe.
type state struct {
	Running  bool
	Reason   string
	Filters  []string
	Modified time.Time
}

// A managed is a pipe of the service.
type managed struct {
	description Description // without state
	properties  map[string]any
	pipe        *Pipe
	state
	worker workers.Worker
}

// List returns all pipes, in the order of the template.
func (s *Service) List() []Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Description
	for _, m := range s.pipes {
		all = append(all, m.describe())
	}
	return all
}

// Describe returns the pipe with that name. Its error wraps [ErrNotFound] when there is none.
func (s *Service) Describe(name string) (Description, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(name)
	if err != nil {
		return Description{}, err
	}
	return m.describe(), nil
}

// Start starts a pipe that is stopped, at its checkpoint. A later run starts it too.
func (s *Service) Start(ctx context.Context, name string) error {
	if err := s.trim(ctx, name); err != nil {
		return err
	}
	return s.change(name, func(st *state) error {
		st.Running, st.Reason = true, ""
		return nil
	})
}

// trim sets the checkpoints of a stopped pipe to the newest records where what came meanwhile has left the stream: its
// oldest record is then the next one that comes.
func (s *Service) trim(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(name)
	if err != nil || m.Running || !s.config.TrimStopped || m.pipe.Queue != nil {
		return err
	}
	r := streams.Reader{Stream: m.pipe.Stream, Checkpoints: m.pipe.Checkpoints}
	err = r.SkipToNewest(ctx)
	if errors.Is(err, ErrRestart) { // of before the stop
		err = r.SkipToNewest(ctx)
	}
	if err != nil {
		return fmt.Errorf("trim the stream of pipe %s: %w", name, err)
	}
	return nil
}

// Stop returns when the pipe has stopped. What it had under way is read again when it is started. A later run leaves it
// stopped.
func (s *Service) Stop(_ context.Context, name string) error {
	return s.change(name, func(st *state) error {
		st.Running, st.Reason = false, "User initiated"
		return nil
	})
}

// SetFilter replaces the patterns of the pipe's filter; without patterns everything passes. A pipe that runs continues
// at its checkpoint.
func (s *Service) SetFilter(_ context.Context, name string, patterns []string) error {
	d, err := s.Describe(name)
	if err != nil {
		return err
	}
	if _, err := compileFilter(d.Source, patterns); err != nil {
		return err
	}
	return s.change(name, func(st *state) error {
		st.Filters = slices.Clone(patterns)
		return nil
	})
}

// change stops a pipe, stores its new state and starts it if it shall run.
func (s *Service) change(name string, edit func(*state) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(name)
	if err != nil {
		return err
	}
	next := m.state
	if err := edit(&next); err != nil {
		return err
	}
	next.Modified = time.Now()
	if err := s.drift.Save(m.description.Name, m.properties, next); err != nil {
		return err
	}
	m.worker.Stop()
	m.state = next
	if err := m.apply(); err != nil {
		return err
	}
	if m.Running {
		s.running.Start(&m.worker, m.run)
	}
	return nil
}

// apply sets the pipe's filter to that of the state.
func (m *managed) apply() (err error) {
	m.pipe.Filter, err = compileFilter(m.description.Source, m.Filters)
	return err
}

// find returns the pipe with that name. Its caller holds the lock.
func (s *Service) find(name string) (*managed, error) {
	for _, m := range s.pipes {
		if m.description.Name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
}

func (m *managed) describe() Description {
	d := m.description
	d.CurrentState, d.StateReason = Stopped, m.Reason
	if m.Running {
		d.CurrentState = Running
	}
	d.DesiredState, d.Filters, d.Modified = d.CurrentState, slices.Clone(m.Filters), m.Modified
	return d
}

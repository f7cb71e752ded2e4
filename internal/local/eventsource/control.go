package eventsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/workers"
)

// ErrNotFound is wrapped when no event source mapping has the UUID.
var ErrNotFound = errors.New("no such event source mapping")

// A State is the state of an event source mapping, in AWS's words. A change takes no time here, so Enabling, Disabling
// and Updating are never seen. Source: Lambda API reference, EventSourceMappingConfiguration.
type State string

// The states.
const (
	Enabled  State = "Enabled"
	Disabled State = "Disabled"
)

// A Description describes an event source mapping.
type Description struct {
	UUID, LogicalID, ARN       string
	FunctionARN                string
	SourceARN                  string // of a queue or a stream
	State                      State
	LastModified               time.Time
	LastProcessingResult       string
	BatchSize                  int
	Window                     time.Duration
	Filters                    []string // patterns; none: everything passes
	ReportBatchItemFailures    bool
	MaximumConcurrency         int    // of a queue; 0: the template sets none
	StartingPosition           string // of a stream, as everything below
	ParallelizationFactor      int
	MaximumRetryAttempts       int           // -1: until a record is too old
	MaximumRecordAge           time.Duration // -1 s: as long as the stream keeps records
	BisectBatchOnFunctionError bool
	TumblingWindow             time.Duration // 0: none
	OnFailure                  string        // ARN of a queue, or empty
}

// state is what calls of the API change on an event source mapping.
type state struct {
	Enabled  bool
	Modified time.Time
}

// A mapping is an event source mapping of the service.
type mapping struct {
	description Description // without state
	properties  map[string]any
	source      source
	state
	worker workers.Worker
}

// A source reads a queue or a stream and invokes the function until ctx is done.
type source interface {
	run(ctx context.Context) error
	lastResult() string
}

// List returns all event source mappings, in the order of the template.
func (s *Service) List() []Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Description
	for _, m := range s.mappings {
		all = append(all, m.describe())
	}
	return all
}

// Describe returns the event source mapping with that UUID. Its error wraps [ErrNotFound] when there is none.
func (s *Service) Describe(uuid string) (Description, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(uuid)
	if err != nil {
		return Description{}, err
	}
	return m.describe(), nil
}

// SetEnabled enables or disables an event source mapping, for this run and later ones. When it returns, a mapping that
// was disabled has ended: the messages that it had under way become visible again, and the stream's records are read
// again when it is enabled.
func (s *Service) SetEnabled(_ context.Context, uuid string, enabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.find(uuid)
	if err != nil || m.Enabled == enabled {
		return err
	}
	next := state{Enabled: enabled, Modified: time.Now()}
	if err := s.drift.Save(m.description.UUID, m.properties, next); err != nil {
		return err
	}
	m.state = next
	m.worker.Stop()
	if enabled {
		s.running.Start(&m.worker, m.source.run)
	}
	return nil
}

// find returns the event source mapping with that UUID. Its caller holds the lock.
func (s *Service) find(uuid string) (*mapping, error) {
	for _, m := range s.mappings {
		if m.description.UUID == uuid {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, uuid)
}

func (m *mapping) describe() Description {
	d := m.description
	d.State, d.LastModified, d.LastProcessingResult = Disabled, m.Modified, m.source.lastResult()
	if m.Enabled {
		d.State = Enabled
	}
	d.Filters = slices.Clone(d.Filters)
	return d
}

// A result is what the last invocation came to, in AWS's words.
type result struct{ last atomic.Value }

func (r *result) set(failed bool) {
	if failed {
		r.last.Store("PROBLEM: Function call failed")
	} else {
		r.last.Store("OK")
	}
}

func (r *result) lastResult() string {
	if text, ok := r.last.Load().(string); ok {
		return text
	}
	return "No records processed"
}

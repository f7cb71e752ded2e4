package functions

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Reset makes room for another template: it forgets which functions there are. One that is declared again as it was goes on,
// with its program and its processes; [Service.Prune] ends the others.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.functions {
		s.before = append(s.before, f)
	}
	clear(s.functions)
	clear(s.qualified)
	clear(s.published)
	s.renewed = true
}

// Prune ends the functions that the template does not declare any more.
func (s *Service) Prune() {
	s.mu.Lock()
	left := s.before
	s.before = nil
	s.mu.Unlock()
	for _, f := range left {
		f.retire()
	}
}

func (s *Service) isRenewed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

func (s *Service) currentBuilder() *gobuild.Builder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.builder
}

// takeBefore returns the function that the template before has declared in the same way, or nil.
func (s *Service) takeBefore(r template.Resource) *function {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.before, func(f *function) bool { return f.isDeclaredBy(r) })
	if at < 0 {
		return nil
	}
	f := s.before[at]
	s.before = slices.Delete(s.before, at, at+1)
	return f
}

// isDeclaredBy reports whether the resource declares this very function. One that could not be prepared is none.
func (f *function) isDeclaredBy(r template.Resource) bool {
	select {
	case <-f.prepared:
		if f.problem != nil {
			return false
		}
	default:
	}
	return f.logicalID == r.LogicalID && reflect.DeepEqual(f.resource.Properties, r.Properties) && reflect.DeepEqual(f.resource.Metadata, r.Metadata)
}

// Compile builds the Go functions that a template declares, as far as that is known before they are provisioned. Its error
// joins those of all functions that cannot be built, and holds the compiler's output.
func (s *Service) Compile(ctx context.Context, declared []template.Resource) error {
	builder := gobuild.New(goCommand)
	s.together(ctx, builder, declared)(ctx)
	var problems []error
	for _, r := range declared {
		if err := s.compile(ctx, builder, r); err != nil {
			problems = append(problems, fmt.Errorf("function %s: %w", r.LogicalID, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.builder = builder
	return nil
}

func (s *Service) compile(ctx context.Context, builder *gobuild.Builder, r template.Resource) error {
	src, err := goSource(r)
	if err != nil || src == nil {
		return err
	}
	target, err := s.target(ctx, builder, r.Dir, src)
	if err != nil {
		return err
	}
	_, err = builder.Program(ctx, target)
	return err
}

package functions

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The program of a function never changes: another function takes its place once it is ready, and the one before ends when
// its last invocation has.

// A Rebuilt is what became of a function that was built again.
type Rebuilt struct {
	LogicalID string
	Took      time.Duration
	Err       error // with the compiler's output; the function then goes on as it was
}

// Rebuild builds functions from their sources again, and lets the next invocation of each that can be built have the new
// program. Invocations that are under way finish with the one that they began with. The other functions go on as they were.
func (s *Service) Rebuild(ctx context.Context, logicalIDs []string) []Rebuilt {
	began := time.Now()
	functions := slices.DeleteFunc(s.all(), func(f *function) bool { return !slices.Contains(logicalIDs, f.logicalID) })
	builder := gobuild.New(goCommand) // the one before has built what was there then
	var resources []template.Resource
	for _, f := range functions {
		resources = append(resources, f.resource)
	}
	s.together(ctx, builder, resources)(ctx)
	var all []Rebuilt
	for _, f := range functions {
		err := s.replace(ctx, f, builder)
		all = append(all, Rebuilt{f.logicalID, time.Since(began), err})
	}
	return all
}

// together returns work that builds the Go functions among the resources by as few go commands as possible. What is wrong
// with one is reported when its program is asked for.
func (s *Service) together(ctx context.Context, builder *gobuild.Builder, resources []template.Resource) (work func(context.Context)) {
	var targets []gobuild.Target
	for _, r := range resources {
		src, err := goSource(r)
		if err != nil || src == nil {
			continue
		}
		if t, err := s.target(ctx, builder, r.Dir, src); err == nil {
			targets = append(targets, t)
		}
	}
	return builder.Together(targets)
}

// replace puts a function with a new program in the place of one, unless that has gone meanwhile.
func (s *Service) replace(ctx context.Context, before *function, builder *gobuild.Builder) error {
	f, source, err := s.declare(before.resource)
	if err != nil {
		return err
	}
	f.dir = s.nextDir(f)
	f.prepare(s.work(f, source, builder))
	if err := f.ready(ctx); err != nil {
		_ = os.RemoveAll(f.dir)
		return err
	}
	s.mu.Lock()
	replaced := s.functions[f.arn] == before
	if replaced {
		s.functions[f.arn] = f
	}
	s.mu.Unlock()
	if !replaced {
		before = f
	}
	before.retire()
	return nil
}

// nextDir returns a folder for the function's program that no function before it has had.
func (s *Service) nextDir(f *function) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replacements++
	return filepath.Join(s.cfg.Dir, "replaced", strconv.Itoa(s.replacements), f.name)
}

// retire ends the processes of a function that nobody finds any more, each once it is idle, and removes its program.
func (f *function) retire() {
	f.killIdle()
	f.service.spawn(func() {
		f.users.Wait()
		f.killIdle()
		_ = os.RemoveAll(f.dir)
	})
}

func (f *function) killIdle() {
	for {
		env, idle := f.takeIdle()
		if !idle {
			return
		}
		env.kill()
	}
}

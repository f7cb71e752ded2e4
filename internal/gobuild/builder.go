package gobuild

import (
	"context"
	"sync"
)

// A Builder builds each target once, however often it is asked for. Its methods may be called concurrently.
type Builder struct {
	run Runner

	mu      sync.Mutex
	results map[string]*result // by Target.key
	places  map[string]Found   // by folder of the app and Origin

	once     sync.Once
	flags    goFlags
	flagsErr error
}

// result is what became of a target.
type result struct {
	done    chan struct{} // closed when the rest is set
	program string
	err     error
}

func (r *result) finish(program string, err error) {
	r.program, r.err = program, err
	close(r.done)
}

// New returns a Builder that runs the go command by run.
func New(run Runner) *Builder {
	return &Builder{run: run, results: map[string]*result{}, places: map[string]Found{}}
}

// Together returns work that builds those targets that nothing else builds, by one go command where their
// settings allow it. From now on [Builder.Program] waits for that work, so it must be done.
func (b *Builder) Together(targets []Target) (work func(context.Context)) {
	var claimed []Target
	var results []*result
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range targets {
		if b.results[t.key()] == nil {
			r := &result{done: make(chan struct{})}
			b.results[t.key()] = r
			claimed, results = append(claimed, t), append(results, r)
		}
	}
	return func(ctx context.Context) {
		if len(claimed) > 0 {
			b.build(ctx, claimed, results)
		}
	}
}

// Program returns the path of the target's program, which is built if it was not yet. The file is never changed,
// but may be replaced by a later build: use [Take]. The error holds the compiler's output.
func (b *Builder) Program(ctx context.Context, t Target) (string, error) {
	b.Together([]Target{t})(ctx)
	b.mu.Lock()
	r := b.results[t.key()]
	b.mu.Unlock()
	select {
	case <-r.done:
		return r.program, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Effective returns the settings with which the target is built: what every program has, what the environment says,
// and its own. A build with them elsewhere, where the environment says nothing, makes the same program.
func (b *Builder) Effective(ctx context.Context, t Target) (Settings, error) {
	flags, err := b.goFlags(ctx)
	return t.effective(flags.Settings), err
}

// goFlags asks the go command once.
func (b *Builder) goFlags(ctx context.Context) (goFlags, error) {
	b.once.Do(func() { b.flags, b.flagsErr = readGoFlags(ctx, b.run) })
	return b.flags, b.flagsErr
}

// build sets the results, each as soon as it is known.
func (b *Builder) build(ctx context.Context, targets []Target, results []*result) {
	flags, err := b.goFlags(ctx)
	var jobs []*job
	for i, t := range targets {
		j, err := newJob(t, results[i], flags, err)
		if err != nil {
			results[i].finish("", err)
			continue
		}
		jobs = append(jobs, j)
	}
	for _, together := range rounds(jobs) {
		b.buildRound(ctx, together)
	}
	prune()
}

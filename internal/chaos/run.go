package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// Config says what to run.
type Config struct {
	Plan   Plan
	Orders int
	// Root is the repository, Binary the compiled local run, Assembly what cdk synth wrote.
	Root, Binary, Assembly string
	// Dir takes the data of the run and its history, history.jsonl. It must be empty.
	Dir string
	// Replay is the command that repeats the run; it is part of the history.
	Replay string
	// Patience is how long a run that should be drained may stand still before it is judged as it is.
	// Default: 75 seconds, longer than the longest pause of a message that came too early.
	Patience time.Duration
	// Env is what the local run's environment has besides ours, as KEY=value.
	Env []string
	// Changes of the template besides those that every run makes.
	Changes []Change
	// Out takes a line now and then about how far the run is. Default: nothing is printed.
	Out io.Writer
}

// Result is what a run showed.
type Result struct {
	Entries []history.Entry
	Rules   check.Rules
	Verdict check.Verdict
	Took    time.Duration
	// Held is how many messages still came back to ordered consumers, waiting for a predecessor, when the
	// state was read last. What they miss then is not certain to be lost.
	Held int
}

const defaultPatience = 75 * time.Second

// Run runs the reference application under the plan and judges it. An error means that the run itself
// failed; what it showed is in the result.
func Run(ctx context.Context, config Config) (Result, error) {
	return run(ctx, orders, ordersChanges, config)
}

// runner is one run.
type runner struct {
	Config
	topology
	rules   check.Rules
	log     *history.Log
	cluster *cluster
	held    int
}

func run(ctx context.Context, t topology, changes []Change, config Config) (Result, error) {
	began := time.Now()
	if config.Patience == 0 {
		config.Patience = defaultPatience
	}
	if config.Out == nil {
		config.Out = io.Discard
	}
	r := &runner{Config: config, topology: t, log: &history.Log{}}
	r.rules = check.Rules{Consumers: t.consumers, Enabled: config.Plan.Enabled()}
	err := r.prepare(changes)
	if err == nil {
		err = r.all(ctx)
	}
	entries := r.log.Entries()
	result := Result{Entries: entries, Rules: r.rules, Verdict: check.Judge(entries, r.rules), Took: time.Since(began), Held: r.held}
	if kept := r.keep(entries); err == nil {
		err = kept
	}
	return result, err
}

// prepare writes what the local run is started with.
func (r *runner) prepare(changes []Change) error {
	app, plan := filepath.Join(r.Dir, "app"), filepath.Join(r.Dir, "faults.json")
	if err := patch(r.Root, r.Assembly, app, r.stack, append(append([]Change{}, changes...), r.Changes...)...); err != nil {
		return err
	}
	if err := r.Plan.write(plan); err != nil {
		return err
	}
	r.cluster = newCluster(localrun.Options{
		Binary: r.Binary,
		Dir:    r.Root,
		Args:   []string{"--app", app, "--stack", r.stack, "--port", "0", "--data", filepath.Join(r.Dir, "data"), "--faults", plan},
		Env:    r.Env,
	}, r.log)
	return nil
}

// all is the whole run, from the start to the last look at the state.
func (r *runner) all(ctx context.Context) (err error) {
	r.log.Phase(history.Phase{Name: history.Started, Detail: r.Replay})
	if err := r.cluster.start(ctx); err != nil {
		return err
	}
	defer func() {
		if stopped := r.cluster.stop(); err == nil && stopped != nil {
			err = fmt.Errorf("stop the local run: %w", stopped)
		}
	}()
	if err := r.work(ctx); err != nil {
		return fmt.Errorf("place the orders: %w", err)
	}
	r.say("%d orders are placed", r.Orders)
	if err := r.suffer(ctx); err != nil {
		return err
	}
	r.say("healing")
	if err := r.cluster.heal(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, history.Drained); err != nil {
		return err
	}
	// A run that has failed already is left as it is, for whoever looks into it.
	if r.redrive == nil || len(check.Judge(r.log.Entries(), check.Rules{Consumers: r.consumers}).Violations) > 0 {
		return nil
	}
	current, err := r.cluster.current(ctx)
	if err != nil {
		return err
	}
	if err := r.redrive(ctx, current); err != nil {
		return fmt.Errorf("redrive the dead letters: %w", err)
	}
	return r.settle(ctx, history.Redriven)
}

// work places the orders and kills what the plan says, when it says so.
func (r *runner) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var killing sync.WaitGroup
	due := make(chan Kill, len(r.Plan.Kills))
	killing.Go(func() {
		for k := range due {
			r.say("%s", k.Point)
			if err := r.cluster.kill(ctx, k); err != nil {
				cancel(err)
			}
		}
	})
	var mu sync.Mutex
	kills, done := r.Plan.Kills, 0
	w := &workload{client: newClient(r.cluster, r.log), dice: dice{r.Plan.Seed}, orders: r.Orders, onlyCreate: r.onlyCreate, done: func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		for len(kills) > 0 && float64(done) >= kills[0].After*float64(r.Orders) {
			due <- kills[0]
			kills = kills[1:]
		}
	}}
	err := w.run(ctx)
	close(due)
	killing.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.Out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// keep writes the history down.
func (r *runner) keep(entries []history.Entry) error {
	file, err := os.Create(filepath.Join(r.Dir, "history.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	return history.Encode(file, entries)
}

package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// Config is what to run.
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
	t.consumers, t.ordered = slices.Clone(t.consumers), slices.Clone(t.ordered)
	if config.Patience == 0 {
		config.Patience = defaultPatience
	}
	if config.Out == nil {
		config.Out = io.Discard
	}
	r := &runner{Config: config, topology: t, log: &history.Log{}}
	r.rules = check.Rules{Consumers: t.consumers, Enabled: config.Plan.Enabled(), Mistakes: kindsOf(config.Plan.Mistakes)}
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
	changes = slices.Concat(changes, r.Changes)
	if err := patch(r.Root, r.Assembly, app, r.stack, changes...); err != nil {
		return err
	}
	if r.joining() {
		if err := patch(r.Root, r.Assembly, r.laterApp(), r.stack, append(changes, r.change)...); err != nil {
			return err
		}
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

// joining reports whether a consumer joins in this run.
func (r *runner) joining() bool { return r.Plan.Join > 0 && r.change != nil }

// laterApp returns the assembly with the consumer that joins.
func (r *runner) laterApp() string { return filepath.Join(r.Dir, "app-later") }

// join deploys the consumer that joins. It owes what is written from now on.
func (r *runner) join(ctx context.Context) error {
	if err := r.cluster.deploy(ctx, r.laterApp()); err != nil {
		return fmt.Errorf("a consumer joins: %w", err)
	}
	consumer := r.joins
	consumer.Since = time.Now()
	r.consumers = append(r.consumers, consumer)
	r.rules.Consumers = r.consumers
	r.ordered = append(r.ordered, urls("QueueUrl", consumer.Name)...)
	r.log.Phase(history.Phase{Name: history.Joined, Detail: consumer.Name})
	return nil
}

// all does the whole run, from the start to the last look at the state.
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
	if err := r.waitForAllFaults(ctx); err != nil {
		return err
	}
	r.say("healing")
	if err := r.cluster.heal(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, history.Drained); err != nil {
		return err
	}
	if r.redrive == nil || r.failed() {
		return nil
	}
	if len(r.Plan.Mistakes) == 0 {
		return r.redriveAll(ctx)
	}
	return r.findAndRepair(ctx)
}

// failed reports whether something is violated already. Such a run is left as it is, for whoever looks into it.
func (r *runner) failed() bool {
	return len(check.Judge(r.log.Entries(), check.Rules{Consumers: r.consumers}).Violations) > 0
}

// redriveAll puts all dead-letter messages back on their way and waits until everything has come to rest.
func (r *runner) redriveAll(ctx context.Context) error {
	current, err := r.cluster.current(ctx)
	if err != nil {
		return err
	}
	if err := r.redrive(ctx, current); err != nil {
		return fmt.Errorf("redrive the dead-letter messages: %w", err)
	}
	return r.settle(ctx, history.Redriven)
}

// work places the orders and takes the turns when they are due.
func (r *runner) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	schedule := newSchedule(r.turns(), r.Orders)
	var taking sync.WaitGroup
	taking.Go(func() {
		for t := schedule.next(); t != nil; t = schedule.next() {
			r.say("%s", t.name)
			if err := t.take(ctx); err != nil {
				cancel(err)
			}
			schedule.took(t)
		}
	})
	w := &workload{client: newClient(r.cluster, r.log), dice: dice{r.Plan.Seed}, orders: r.Orders, onlyCreate: r.onlyCreate, done: schedule.done}
	err := w.run(ctx)
	schedule.end()
	taking.Wait()
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

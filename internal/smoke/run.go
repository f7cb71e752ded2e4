package smoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	smithytime "github.com/aws/smithy-go/time"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// A Runner runs checks on a stack.
type Runner struct {
	Clients Clients
	Stack   *operate.Stack
	Outbox  *operate.Outbox
	Dialog  *operate.Dialog
	Command operate.CommandLine

	// Wait is how long at most a check waits for one thing to happen.
	Wait time.Duration
	// Production lets the checks run on a stack that looks like production.
	Production bool
	DryRun     bool

	checks    []Check
	id        string // of this run, in the names of all that it makes
	reference *reference
	shared    *tap
	orders    []string // that it has placed
	cleanups  cleanups
	left      []string        // what could not be removed
	unread    map[string]bool // messages of the pipe's dead-letter queue that were said to be unreadable
}

// A job is a check that runs.
type job struct {
	*Runner
	findings
	cleanups cleanups // done when the check is, whatever it came to
}

var errNothingDone = errors.New("nothing was done: answer y, or give --yes")

// Run prints what the checks do and cost, asks, and runs them. It returns no report where nothing was run.
func (r *Runner) Run(ctx context.Context, checks []Check) (*Report, error) {
	r.checks = checks
	if len(checks) == 0 {
		return nil, errors.New("no check is left: --list shows them all")
	}
	if err := r.refuseProduction(ctx); err != nil {
		return nil, err
	}
	var err error
	if r.reference, err = r.findReference(ctx); err != nil {
		return nil, err
	}
	earlier, err := r.earlier(ctx)
	if err != nil {
		return nil, err
	}
	for _, what := range earlier {
		r.Dialog.Say("%s is there from an earlier run that was killed, or from one that runs now", what)
	}
	if err := r.needRunningPipe(ctx); err != nil {
		return nil, err
	}
	r.plan()
	if r.DryRun {
		return nil, nil
	}
	if !r.Dialog.Confirms("Run them?") {
		return nil, errNothingDone
	}
	r.id = strings.ReplaceAll(uuid.NewString(), "-", "")[:10]
	r.unread = map[string]bool{}
	report := &Report{Stack: r.Stack.Name, Where: r.Clients.Where, Began: time.Now().UTC().Truncate(time.Second)}
	defer r.end(ctx, report)
	for _, c := range checks {
		report.Checks = append(report.Checks, r.one(ctx, c))
	}
	return report, nil
}

// plan prints what will be done.
func (r *Runner) plan() {
	r.Dialog.Say("%d checks of stack %s in %s:", len(r.checks), r.Stack.Name, r.Clients.Where)
	minutes, dollars := 0.0, 0.0
	for _, c := range r.checks {
		text := c.Does
		if reason := r.lacks(c); reason != "" {
			text = "skipped: " + reason
		} else {
			minutes, dollars = minutes+c.Minutes, dollars+c.Dollars
		}
		r.Dialog.Say("%3d  %s: %s", c.Number, c.Title, text)
	}
	r.Dialog.Say("On AWS that takes about %.0f minutes and costs about $%.2f. Alarms of the stack may go off meanwhile.", max(1, minutes), max(0.01, dollars))
	r.Dialog.Say("What it makes is removed at the end, after Ctrl-C too. Events that it commits, and what consumers remember of them, expire or stay, as those of any order do.")
}

// lacks returns why the check cannot be done on the stack.
func (r *Runner) lacks(c Check) string {
	if c.Reference && r.reference == nil {
		return "it needs the reference application: the stack has no output " + outputAPI
	}
	return ""
}

// one runs one check.
func (r *Runner) one(ctx context.Context, c Check) CheckReport {
	done := CheckReport{Check: c, Outcome: Skipped}
	began := time.Now()
	if done.Observed = r.lacks(c); done.Observed == "" && ctx.Err() != nil {
		done.Observed = "interrupted"
	}
	if done.Observed == "" {
		r.Dialog.Say("%3d  %s …", c.Number, c.Title)
		j := &job{Runner: r}
		err := c.run(ctx, j)
		r.left = append(r.left, j.cleanups.run(ctx, r.Dialog)...)
		if ctx.Err() != nil && err != nil {
			err = fmt.Errorf("interrupted: %w", err)
		}
		done.Outcome, done.Observed = j.outcome(err)
	}
	done.Seconds = time.Since(began).Seconds()
	r.Dialog.Say("     %s: %s", done.Outcome, masked(done.Observed))
	return done
}

// end removes what the checks share, and completes the report.
func (r *Runner) end(ctx context.Context, report *Report) {
	r.left = append(r.left, r.cleanups.run(ctx, r.Dialog)...)
	report.Left = r.left
	report.Seconds = time.Since(report.Began).Seconds()
	report.Interrupted = ctx.Err() != nil
}

// name returns the name of something that the run makes. All of them begin with the same word.
func (r *Runner) name(what string) string { return namePrefix + r.id + "-" + what }

// namePrefix is what the names of temporary queues and rules begin with.
const namePrefix = "outbox-smoke-"

// poll is how often something is looked at that no event announces.
const poll = 300 * time.Millisecond

// await looks until something has happened, for as long as the run waits at most.
func (r *Runner) await(ctx context.Context, what string, happened func() (bool, error)) error {
	for until := time.Now().Add(r.Wait); ; {
		done, err := happened()
		if err != nil || done {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("within %s this did not happen: %s", r.Wait, what)
		}
		if err := smithytime.SleepWithContext(ctx, poll); err != nil {
			return fmt.Errorf("%w, while it waited until %s", err, what)
		}
	}
}

// Numbers returns the numbers of the checks with the outcome.
func (r *Report) Numbers(o Outcome) (numbers []int) {
	for _, c := range r.Checks {
		if c.Outcome == o {
			numbers = append(numbers, c.Number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// Problem returns why the run was no success, nil where it was.
func (r *Report) Problem() error {
	var problems []error
	if failed := r.Numbers(Failed); len(failed) > 0 {
		problems = append(problems, fmt.Errorf("these checks failed: %v", failed))
	}
	if len(r.Left) > 0 {
		problems = append(problems, fmt.Errorf("this was not removed: %s", strings.Join(r.Left, "; ")))
	}
	if r.Interrupted {
		problems = append(problems, errors.New("interrupted"))
	}
	return errors.Join(problems...)
}

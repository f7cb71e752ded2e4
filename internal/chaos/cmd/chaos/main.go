// Command chaos runs the reference application under injected faults and judges the history. It ends with 1
// when the guarantee was violated, or an enabled fault never fired.
//
//	go run ./internal/chaos/cmd/chaos --orders 2000 --seeds 1,2,3
//	go run ./internal/chaos/cmd/chaos --hours 1 --seeds 7
//
// It needs what cdk synth wrote in cdk.out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// options are the command's flags.
type options struct {
	seeds    []uint64
	orders   int
	atOnce   int
	kills    int
	tables   int
	mistakes bool
	hours    float64
	naive    bool
	app      string
	out      string
}

var errViolated = errors.New("the guarantee was violated")

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = run(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	var seeds string
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(&seeds, "seeds", "1", "comma-separated `seeds`, one run each")
	flags.IntVar(&o.orders, "orders", 2000, "how many orders in all, shared by the seeds")
	flags.IntVar(&o.atOnce, "at-once", 2, "how many seeds run at the same time")
	flags.IntVar(&o.kills, "kills", 2, "how often each run is killed with kill -9")
	flags.IntVar(&o.tables, "table-kills", 1, "how often DynamoDB Local is killed with kill -9 in each run")
	flags.BoolVar(&o.mistakes, "mistakes", true, "have operators make mistakes, which an audit must find and a repair must put right")
	flags.Float64Var(&o.hours, "hours", 0, "go on with further seeds, each with that many orders, for so many hours")
	flags.BoolVar(&o.naive, "naive", false, "run the topology of the AWS SAM sample instead, to see what it loses and doubles")
	flags.StringVar(&o.app, "app", "cdk.out", "`folder` that cdk synth wrote")
	flags.StringVar(&o.out, "out", "", "`folder` that keeps data and history of each run (default: only those of runs that failed, in a temporary one)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(seeds, ",") {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return o, fmt.Errorf("--seeds must be whole numbers with commas between them, got %q", text)
		}
		o.seeds = append(o.seeds, seed)
	}
	if o.orders < len(o.seeds) {
		return o, fmt.Errorf("--orders must be at least %d, one a seed, got %d", len(o.seeds), o.orders)
	}
	if o.atOnce < 1 {
		return o, fmt.Errorf("--at-once must be at least 1, got %d", o.atOnce)
	}
	return o, nil
}

func run(ctx context.Context, o options) error {
	dir := o.out
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "outbox-chaos-"); err != nil {
			return err
		}
	}
	binary := filepath.Join(dir, "local")
	if err := localrun.Build(ctx, binary); err != nil {
		return err
	}
	began := time.Now()
	failed := o.all(ctx, binary, dir)
	fmt.Printf("\nall of it took %s\n", time.Since(began).Round(time.Second))
	if failed == nil && o.out == "" {
		return os.RemoveAll(dir)
	}
	if failed != nil {
		fmt.Printf("\ndata and histories are in %s\n", dir)
	}
	return failed
}

// all runs the seeds, some at the same time: much of a run is waiting. One that fails does not end the others.
func (o options) all(ctx context.Context, binary, dir string) error {
	each := o.orders / len(o.seeds)
	if o.hours > 0 {
		each = o.orders
	}
	var mu sync.Mutex
	var failed error
	next := o.schedule()
	var workers sync.WaitGroup
	for range o.atOnce {
		workers.Go(func() {
			for seed, more := next(); more && ctx.Err() == nil; seed, more = next() {
				if err := o.one(ctx, seed, each, binary, filepath.Join(dir, fmt.Sprintf("seed-%d", seed))); err != nil {
					mu.Lock()
					failed = errors.Join(failed, fmt.Errorf("seed %d: %w", seed, err))
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return failed
}

// schedule gives out the seeds that were asked for, and further ones until the hours are over.
func (o options) schedule() func() (seed uint64, more bool) {
	until := time.Now().Add(time.Duration(o.hours * float64(time.Hour)))
	var mu sync.Mutex
	given := 0
	return func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		given++
		if given <= len(o.seeds) {
			return o.seeds[given-1], true
		}
		return o.seeds[len(o.seeds)-1] + uint64(given-len(o.seeds)), time.Now().Before(until)
	}
}

// lines writes to standard output with the seed before each line.
type lines struct{ seed uint64 }

func (l lines) Write(line []byte) (int, error) {
	if _, err := fmt.Printf("seed %d  %s", l.seed, line); err != nil {
		return 0, err
	}
	return len(line), nil
}

// one runs one seed.
func (o options) one(ctx context.Context, seed uint64, orders int, binary, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	app, err := filepath.Abs(o.app)
	if err != nil {
		return err
	}
	replay := fmt.Sprintf("go run ./internal/chaos/cmd/chaos --seeds %d --orders %d --kills %d --table-kills %d", seed, orders, o.kills, o.tables)
	start, plan := chaos.Run, chaos.NewPlan(seed, o.kills, o.tables)
	switch {
	case o.naive: // nothing in it could find or repair what a mistake costs
		start, replay = chaos.RunNaive, replay+" --naive"
	case o.mistakes:
		plan = plan.WithMistakes()
	default:
		replay += " --mistakes=false"
	}
	result, err := start(ctx, chaos.Config{
		Plan: plan, Orders: orders,
		Root: root, Binary: binary, Assembly: app, Dir: dir, Replay: replay, Out: lines{seed},
	})
	var report strings.Builder
	result.Report(&report, replay)
	fmt.Printf("\nseed %d, %d orders\n%s\n", seed, orders, report.String())
	switch {
	case err != nil:
		return err
	case len(result.Verdict.Violations) > 0:
		return errViolated
	case o.out == "":
		return os.RemoveAll(dir)
	}
	return nil
}

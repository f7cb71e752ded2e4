package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// cluster is a local run over all its kills: whoever uses it meets the one that is up now.
type cluster struct {
	options localrun.Options
	log     *history.Log

	mu    sync.Mutex
	run   *localrun.Run
	ready chan struct{} // closed while a run is up
	moved time.Time     // when something happened last
}

func newCluster(options localrun.Options, log *history.Log) *cluster {
	c := &cluster{options: options, log: log, ready: make(chan struct{})}
	c.options.OnHop = func(h hop.Hop) {
		if moves(h) {
			c.touch()
		}
		log.Hop(h)
	}
	c.options.OnFault = func(f console.Fault) {
		c.touch()
		log.Fault(f.At, history.Fault{Point: f.Point, Key: f.Key, N: f.N, Events: f.EventIDs})
	}
	c.options.OnNotice = func(text string) {
		if strings.HasPrefix(text, "IAM") {
			log.Denial(history.Denial{Text: text})
		}
	}
	return c
}

// moves reports whether a hop brings something further. An event whose predecessor is missing comes back to its ordered
// consumer again and again; the auditor, the heartbeat and what functions write to their logs do not matter.
func moves(h hop.Hop) bool {
	switch h.Stage {
	case hop.Queue:
		return h.Outcome != hop.Retry
	case hop.Stream, hop.Schedule, hop.Async, hop.Effect, hop.Function, hop.Platform:
		return false
	case hop.API, hop.Pipe, hop.Bus:
	}
	return true
}

func (c *cluster) touch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved = time.Now()
}

// quiet returns how long nothing has happened.
func (c *cluster) quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.moved)
}

// start starts the run, or starts it again on its data.
func (c *cluster) start(ctx context.Context) error {
	run, err := localrun.Start(ctx, c.options)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run, c.moved = run, time.Now()
	close(c.ready)
	return nil
}

// current returns the run that is up; while there is none, it waits for the next.
func (c *cluster) current(ctx context.Context) (*localrun.Run, error) {
	for {
		c.mu.Lock()
		run, ready := c.run, c.ready
		c.mu.Unlock()
		if run != nil {
			return run, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// kill carries out the kill.
func (c *cluster) kill(ctx context.Context, k Kill) error {
	if k.Point == check.KillTables {
		return c.killTables(ctx)
	}
	return c.killRun(ctx)
}

// killRun ends the run with kill -9 and starts it again.
func (c *cluster) killRun(ctx context.Context) error {
	c.mu.Lock()
	run := c.run
	c.run, c.ready = nil, make(chan struct{})
	c.mu.Unlock()
	if run == nil {
		return errors.New("kill the local run: none is up")
	}
	run.Kill()
	c.log.Fault(time.Now(), history.Fault{Point: check.KillRun})
	if err := c.start(ctx); err != nil {
		return fmt.Errorf("start again after a kill: %w", err)
	}
	return nil
}

// deploy ends the run and starts it again, on its data, with another assembly.
func (c *cluster) deploy(ctx context.Context, app string) error {
	c.mu.Lock()
	run := c.run
	c.run, c.ready = nil, make(chan struct{})
	c.options.Args = withApp(c.options.Args, app)
	c.mu.Unlock()
	if run == nil {
		return errors.New("deploy: no local run is up")
	}
	if err := run.Stop(); err != nil {
		return fmt.Errorf("deploy: stop the local run: %w", err)
	}
	return c.start(ctx)
}

// withApp returns the arguments with another --app.
func withApp(args []string, app string) []string {
	args = slices.Clone(args)
	args[slices.Index(args, "--app")+1] = app
	return args
}

// killTables ends DynamoDB Local with kill -9. The run starts it again by itself.
func (c *cluster) killTables(ctx context.Context) error {
	run, err := c.current(ctx)
	if err != nil {
		return err
	}
	pid, err := child(ctx, run.PID(), "DynamoDBLocal.jar")
	if err != nil {
		return fmt.Errorf("kill DynamoDB Local: %w", err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		return fmt.Errorf("kill DynamoDB Local: %w", err)
	}
	c.log.Fault(time.Now(), history.Fault{Point: check.KillTables})
	return nil
}

// child returns the process id of the child whose command line holds the text.
func child(ctx context.Context, parent int, text string) (int, error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-ww", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return 0, fmt.Errorf("list the processes: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[1] == strconv.Itoa(parent) && strings.Contains(line, text) {
			return strconv.Atoi(fields[0])
		}
	}
	return 0, fmt.Errorf("process %d has no child with %q in its command line", parent, text)
}

// heal ends all faults.
func (c *cluster) heal(ctx context.Context) error {
	run, err := c.current(ctx)
	if err != nil {
		return err
	}
	if err := run.Heal(ctx); err != nil {
		return err
	}
	c.log.Phase(history.Phase{Name: history.Healed})
	return nil
}

// stop ends the run if one is up.
func (c *cluster) stop() error {
	c.mu.Lock()
	run := c.run
	c.run = nil
	c.mu.Unlock()
	if run == nil {
		return nil
	}
	return run.Stop()
}

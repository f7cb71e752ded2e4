// Package localrun starts the local run as a process of its own and reads its output. The e2e tests, the demo and the
// benchmarks use it to run the stack as a person would.
package localrun

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Options define the run to start.
type Options struct {
	Binary   string              // the compiled command (see Build)
	Tool     []string            // in place of Binary: how to run it, for example "go", "tool", "outbox"
	Dir      string              // working directory; default: ours
	Args     []string            // flags beside --json, for example "--stack", "Orders-dev"
	Env      []string            // what its environment has besides ours, as KEY=value
	OnHop    func(hop.Hop)       // called for each hop as it arrives; default: nothing
	OnFault  func(console.Fault) // called for each injected fault as it arrives; default: nothing
	OnNotice func(text string)   // called for each line of text as it arrives; default: nothing
}

// A Run is a local run that has started.
type Run struct {
	// Summary is the summary that the run printed when it was ready.
	Summary console.Summary

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and all its output was read
	err  error         // the error with which the process ended, valid once done is closed

	healed chan struct{} // closed when the run has printed that all faults have ended

	once    sync.Once // closes healed
	mu      sync.Mutex
	hops    []hop.Hop
	notices []string
	changed chan struct{} // closed and replaced whenever a hop arrives
}

// Start starts a run and returns once it is ready. Its error contains what the run wrote to stderr.
func Start(ctx context.Context, o Options) (*Run, error) {
	command := o.Tool
	if o.Binary != "" {
		command = []string{o.Binary}
	}
	cmd := exec.Command(command[0], slices.Concat(command[1:], []string{"local", "--json"}, o.Args)...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), o.Env...)
	// A group of its own, so that a Ctrl-C for us does not reach it: we stop it ourselves.
	cmd.SysProcAttr = ownGroup
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &Run{cmd: cmd, done: make(chan struct{}), healed: make(chan struct{}), changed: make(chan struct{})}
	ready := make(chan console.Summary, 1)
	go func() {
		r.follow(stdout, ready, o)
		r.err = cmd.Wait()
		if text := strings.TrimSpace(stderr.String()); r.err != nil && text != "" {
			r.err = fmt.Errorf("%w: %s", r.err, text)
		}
		close(r.done)
	}()
	select {
	case r.Summary = <-ready:
		return r, nil
	case <-r.done:
		return nil, fmt.Errorf("the local run ended before it was ready: %w", r.err)
	case <-ctx.Done():
		r.Kill()
		return nil, fmt.Errorf("wait for the local run to be ready: %w", ctx.Err())
	}
}

// follow reads the run's output until it ends.
func (r *Run) follow(stdout io.Reader, ready chan<- console.Summary, o Options) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line console.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue
		}
		switch {
		case line.Ready != nil:
			ready <- *line.Ready
		case line.Hop != nil:
			r.mu.Lock()
			r.hops = append(r.hops, *line.Hop)
			close(r.changed)
			r.changed = make(chan struct{})
			r.mu.Unlock()
			if o.OnHop != nil {
				o.OnHop(*line.Hop)
			}
		case line.Fault != nil:
			if o.OnFault != nil {
				o.OnFault(*line.Fault)
			}
		case line.Notice != "":
			r.mu.Lock()
			r.notices = append(r.notices, line.Notice)
			r.mu.Unlock()
			if o.OnNotice != nil {
				o.OnNotice(line.Notice)
			}
			if strings.HasPrefix(line.Notice, "healed") {
				r.once.Do(func() { close(r.healed) })
			}
		}
	}
}

// Hops returns all hops so far for which keep returns true; a nil keep keeps all.
func (r *Run) Hops(keep func(hop.Hop) bool) []hop.Hop {
	hops, _ := r.matching(keep)
	return hops
}

// Notices returns all lines of text that the run has printed so far.
func (r *Run) Notices() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notices)
}

// Wait waits for n hops for which keep returns true and returns them. Its error contains how many there were.
func (r *Run) Wait(ctx context.Context, n int, keep func(hop.Hop) bool) ([]hop.Hop, error) {
	for {
		hops, changed := r.matching(keep)
		if len(hops) >= n {
			return hops, nil
		}
		select {
		case <-changed:
		case <-r.done:
			return hops, fmt.Errorf("the local run ended after %d of %d hops: %w", len(hops), n, r.err)
		case <-ctx.Done():
			return hops, fmt.Errorf("received %d of %d hops: %w", len(hops), n, ctx.Err())
		}
	}
}

func (r *Run) matching(keep func(hop.Hop) bool) ([]hop.Hop, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var hops []hop.Hop
	for _, h := range r.hops {
		if keep == nil || keep(h) {
			hops = append(hops, h)
		}
	}
	return hops, r.changed
}

// Name returns the readable name of a logical id.
func (r *Run) Name(logicalID string) string {
	for _, res := range r.Summary.Resources {
		if res.LogicalID == logicalID {
			return res.Name
		}
	}
	return logicalID
}

// Cloud returns a Cloud whose clients reach the run's AWS endpoints.
func (r *Run) Cloud() *cloud.Cloud {
	c := cloud.New(r.Summary.Region)
	for _, e := range r.Summary.Endpoints {
		c.SetEndpoint(e.Service, e.URL)
	}
	return c
}

// PID returns the process id of the run.
func (r *Run) PID() int { return r.cmd.Process.Pid }

// Heal ends all faults of a run that was started with --faults, and returns once they have ended.
func (r *Run) Heal(ctx context.Context) error {
	if err := r.cmd.Process.Signal(healSignal); err != nil {
		return fmt.Errorf("heal the faults: %w", err)
	}
	select {
	case <-r.healed:
		return nil
	case <-r.done:
		return fmt.Errorf("heal the faults: the local run ended: %w", r.err)
	case <-ctx.Done():
		return fmt.Errorf("heal the faults: %w", ctx.Err())
	}
}

// Done returns a channel that is closed when the run has ended.
func (r *Run) Done() <-chan struct{} { return r.done }

// Stop ends the run as Ctrl-C does. It returns an error when that takes longer than five seconds or the run does not
// exit with 0.
func (r *Run) Stop() error {
	_ = r.cmd.Process.Signal(os.Interrupt)
	select {
	case <-r.done:
		return r.err
	case <-time.After(5 * time.Second):
		r.Kill()
		return errors.New("the local run did not end within 5 s of an interrupt")
	}
}

// Kill ends the run as kill -9 does, and returns once it has ended.
func (r *Run) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.done
}

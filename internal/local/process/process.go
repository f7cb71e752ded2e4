// Package process starts child processes that never outlive the local run: they end with Stop, and
// with the run itself however it ends, kill -9 included.
package process

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// A Spec is what to run.
type Spec struct {
	Path   string    // the program
	Args   []string  // its arguments, without the program's name
	Env    []string  // its whole environment, as KEY=value; default: childenv.Base, never all of ours
	Dir    string    // its working directory; default: ours
	Stdin  io.Reader // default: nothing
	Stdout io.Writer // default: discarded
	Stderr io.Writer // default: discarded
}

// A Process is a running child, the leader of a process group of its own. What it starts belongs to its
// group and ends with it. (Only the child itself, not what it started, is sure to end when the local run
// is killed with kill -9.)
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error

	mu    sync.Mutex
	ended bool // the child has ended; from now on its id may become another process's
}

// Start runs the program. Its error names the program.
func Start(spec Spec) (*Process, error) {
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	if cmd.Env == nil {
		cmd.Env = childenv.Base()
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Stdin, spec.Stdout, spec.Stderr
	// A process that left the group and holds our pipes must not keep Wait from returning.
	cmd.WaitDelay = time.Second
	unbind, err := startBound(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = wait(cmd, p.buryGroup)
		unbind()
		close(p.done)
	}()
	return p, nil
}

// Done returns a channel that is closed when the process has ended and its output has been read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended: nil for exit code 0. It is valid once Done is closed.
func (p *Process) Err() error { return p.err }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end, kills its group after grace, and returns when it has ended.
func (p *Process) Stop(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
}

// Kill ends the process and all it started at once, and returns when it has ended.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal reaches the whole group, as long as its id is sure to be ours.
func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		signalGroup(p.PID(), s)
	}
}

// buryGroup kills what the child left running when it ended.
func (p *Process) buryGroup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	signalGroup(p.PID(), syscall.SIGKILL)
	p.ended = true
}

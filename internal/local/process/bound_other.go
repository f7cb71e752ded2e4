//go:build unix && !linux

package process

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// watch kills the process group $1 once its standard input, a pipe from us, is closed: the kernel closes
// it however we end. Systems other than Linux have no parent-death signal.
const watch = `cat >/dev/null; kill -9 -- "-$1" 2>/dev/null`

// startBound starts the command with a watcher beside it that kills it when this process ends. The
// function it returns ends the watcher, so that it cannot hit a later process with the same id.
func startBound(cmd *exec.Cmd) (unbind func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	kill := func(err error) (func(), error) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return kill(err)
	}
	defer read.Close()
	watcher := exec.Command("/bin/sh", "-c", watch, "sh", strconv.Itoa(cmd.Process.Pid))
	watcher.Env, watcher.Stdin = childenv.Base(), read
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watcher.Start(); err != nil {
		write.Close()
		return kill(err)
	}
	return func() {
		_ = watcher.Process.Kill()
		_ = watcher.Wait()
		write.Close()
	}, nil
}

// wait waits for the command and calls ended right after: these systems have no portable way to wait
// without freeing the id.
func wait(cmd *exec.Cmd, ended func()) error {
	err := cmd.Wait()
	ended()
	return err
}

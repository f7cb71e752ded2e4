package process

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// spawner starts every child from one thread that lives as long as we do. The kernel sends the
// parent-death signal when the THREAD that forked ends, and Go ends threads as it likes
// (prctl(2), PR_SET_PDEATHSIG).
var spawner = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go spawnForever(jobs)
	return jobs
})

// spawnForever is the one goroutine of this package that never ends: a leak check ignores it by this name.
func spawnForever(jobs <-chan func()) {
	runtime.LockOSThread()
	for job := range jobs {
		job()
	}
}

// startBound starts the command so that the kernel kills it when this process ends. The function it
// returns undoes the bond once the command has ended; here there is nothing to undo.
func startBound(cmd *exec.Cmd) (unbind func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	spawner() <- func() { result <- cmd.Start() }
	return func() {}, <-result
}

// wait waits for the command, and calls ended when it has ended but before its id is free for another
// process.
func wait(cmd *exec.Cmd, ended func()) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	ended()
	return cmd.Wait()
}

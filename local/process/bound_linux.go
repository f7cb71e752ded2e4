package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// spawner starts every child from one thread that lives as long as we do. The kernel sends the
// parent-death signal when the THREAD that forked ends, and Go ends threads as it likes
// (prctl(2), PR_SET_PDEATHSIG).
var spawner = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// startBound starts the command so that the kernel kills it when this process ends. The function it
// returns undoes the bond once the command has ended; here there is nothing to undo.
func startBound(cmd *exec.Cmd) (unbind func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	spawner() <- func() { result <- cmd.Start() }
	return func() {}, <-result
}

package process

import (
	"errors"
	"os/exec"
	"syscall"
)

// startBound starts nothing: Windows has no process groups, so nothing here could promise that a child ends with us.
// The local run refuses to start there before it comes to this.
func startBound(*exec.Cmd) (unbind func(), err error) {
	return nil, errors.ErrUnsupported
}

func wait(cmd *exec.Cmd, ended func()) error {
	err := cmd.Wait()
	ended()
	return err
}

func signalGroup(int, syscall.Signal) {}

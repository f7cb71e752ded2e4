//go:build unix

package localrun

import "syscall"

// healSignal ends the injected faults of a run.
const healSignal = syscall.SIGUSR1

var ownGroup = &syscall.SysProcAttr{Setpgid: true}

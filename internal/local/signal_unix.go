//go:build unix

package local

import "syscall"

// healSignal ends the injected faults.
const healSignal = syscall.SIGUSR1

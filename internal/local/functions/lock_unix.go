//go:build unix

package functions

import (
	"os"
	"syscall"
)

// lockFile waits until no other process has the lock. The kernel releases it however we end.
func lockFile(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }

//go:build unix

package outboxtest

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock returns once this process alone has the lock of a folder, which the system ends with the process.
func lock(folder string) (unlock func(), err error) {
	dir, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		dir.Close()
		return nil, err
	}
	return func() { dir.Close() }, nil
}

//go:build unix

package process

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// remove removes the folder $1 once its standard input, a pipe from us, is closed: the kernel closes it however we end. What
// is killed at the same moment may still write there, so it tries again.
const remove = `cat >/dev/null; for n in 1 2 3 4 5; do rm -rf -- "$1" && exit; sleep 1; done 2>/dev/null`

// RemoveAtExit has a folder removed when this process ends, however it ends. It returns what removes it before.
func RemoveAtExit(dir string) (now func(), err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("remove %s at the end: %w", dir, err)
	}
	defer read.Close()
	// A group of its own: a Ctrl-C for us must not reach it.
	watcher := exec.Command("/bin/sh", "-c", remove, "sh", dir)
	watcher.Env, watcher.Stdin = childenv.Base(), read
	watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watcher.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("remove %s at the end: %w", dir, err)
	}
	return func() {
		write.Close()
		_ = watcher.Wait()
	}, nil
}

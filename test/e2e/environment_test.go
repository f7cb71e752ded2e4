package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// secret is what the shell holds that starts the local run.
const secret = "a-secret-of-the-shell"

// seeNoSecrets checks that none of the processes has the secret in its environment.
func seeNoSecrets(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		environment, err := os.ReadFile(filepath.Join(proc, "environ"))
		if err != nil {
			continue // it has ended
		}
		if bytes.Contains(environment, []byte(secret)) {
			command, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
			t.Errorf("a process of the run sees the shell's secrets: %q", command)
		}
	}
}

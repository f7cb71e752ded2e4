package process_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
)

// folder returns a folder with a file.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "below", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func isGone(dir string) bool {
	_, err := os.Stat(dir)
	return os.IsNotExist(err)
}

func TestAFolderIsRemovedNow(t *testing.T) {
	dir := folder(t)
	now, err := process.RemoveAtExit(dir)
	if err != nil {
		t.Fatal(err)
	}
	if isGone(dir) {
		t.Error("it is removed before the end")
	}
	if now(); !isGone(dir) {
		t.Error("it is still there")
	}
}

func TestAFolderIsRemovedWhenWeAreKilled(t *testing.T) {
	dir := folder(t)
	p, out := start(t, spec("tidy", dir))
	readLine(t, out)
	p.Kill()
	// The watcher is nobody's child any more: the kernel tells nobody when it has ended.
	for end := time.Now().Add(20 * time.Second); !isGone(dir); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is still there")
		}
	}
}

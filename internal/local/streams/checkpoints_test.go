package streams

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

func TestCheckpoints(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "local.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c := NewCheckpoints(db, "pipe OutboxPipe", "arn")
	if got, err := c.Load(); got != nil || err != nil {
		t.Errorf("a new pipe has %v, %v", got, err)
	}
	if err := c.Save(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Load(); got == nil || err != nil {
		t.Errorf("a pipe that has started has %v, %v", got, err)
	}
	if err := c.Save(map[string]Checkpoint{"a": {After: "1"}, "b": {Ended: true}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(map[string]Checkpoint{"a": {After: "2"}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Load()
	if err != nil || len(got) != 2 || got["a"].After != "2" || !got["b"].Ended {
		t.Errorf("got %v, %v", got, err)
	}
	if other, err := NewCheckpoints(db, "pipe OutboxPipe", "arnx").Load(); other != nil || err != nil {
		t.Errorf("another stream has %v, %v", other, err)
	}
}

package events

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func expect[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func database(t *testing.T, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func opened(t *testing.T, db *bbolt.DB) (*boltJournal, []*delivery) {
	t.Helper()
	j, pending, err := openJournal(db)
	if err != nil {
		t.Fatal(err)
	}
	return j, pending
}

// afterKill opens a copy of the database as it is on disk now: what a kill -9 would leave.
func afterKill(t *testing.T, db *bbolt.DB) []*delivery {
	t.Helper()
	raw, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	j, pending := opened(t, database(t, path))
	j.close()
	return pending
}

func some(n int) []*delivery {
	var deliveries []*delivery
	for i := range n {
		deliveries = append(deliveries, &delivery{
			RuleARN: ruleARN, TargetID: fmt.Sprint(i), Event: json.RawMessage(`{"detail":{"note":"é"}}`), AcceptedAt: time.UnixMilli(1_700_000_000_000).UTC(),
		})
	}
	return deliveries
}

func TestAppendedIsOnDisk(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, pending := opened(t, db)
	defer j.close()
	expect(t, "pending at first", len(pending), 0)
	written := some(3)
	if err := j.append(written); err != nil {
		t.Fatal(err)
	}
	expect(t, "after a kill", afterKill(t, db), written)
}

func TestRemovedIsGoneAfterClose(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := opened(t, db)
	written := some(3)
	if err := j.append(written); err != nil {
		t.Fatal(err)
	}
	j.remove(written[0])
	written[1].Retries = 7
	j.update(written[1])
	j.update(written[2])
	j.remove(written[2])
	j.close()
	expect(t, "pending", afterKill(t, db), written[1:2])
}

// Without an append to ride on, a removal gets a commit of its own.
func TestRemovalReachesTheDisk(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := opened(t, db)
	defer j.close()
	written := some(1)
	if err := j.append(written); err != nil {
		t.Fatal(err)
	}
	j.remove(written[0])
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var left int
		_ = db.View(func(tx *bbolt.Tx) error {
			left = tx.Bucket(bucketName).Stats().KeyN
			return nil
		})
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the removal never came")
		}
	}
}

func TestConcurrentAppendsShareCommits(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := opened(t, db)
	defer j.close()
	before := commits(t, db)
	const callers, calls = 16, 20
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				d := some(2)
				if err := j.append(d); err != nil {
					t.Error(err)
				}
				j.remove(d[0])
			}
		})
	}
	wg.Wait()
	keys := map[uint64]bool{}
	for _, d := range afterKill(t, db) {
		keys[d.key] = true
	}
	if len(keys) < callers*calls {
		t.Errorf("%d deliveries are left, want at least %d", len(keys), callers*calls)
	}
	if n := commits(t, db) - before; n > callers*calls/2 {
		t.Errorf("%d commits for %d concurrent appends", n, callers*calls)
	}
}

// commits is how many write transactions the database has seen.
func commits(t *testing.T, db *bbolt.DB) int {
	t.Helper()
	var n int
	if err := db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAppendFailsWhenTheDiskDoes(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := opened(t, db)
	defer j.close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(some(1)); err == nil {
		t.Error("an append without a database was acknowledged")
	}
}

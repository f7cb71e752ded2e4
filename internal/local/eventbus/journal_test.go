package eventbus

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

func mustOpen(t *testing.T, db *bbolt.DB) (*boltJournal, []*delivery) {
	t.Helper()
	j, pending, err := openJournal(db)
	if err != nil {
		t.Fatal(err)
	}
	return j, pending
}

// afterKill returns the deliveries in a copy of the database as it is on disk now: what a kill -9 would leave.
func afterKill(t *testing.T, db *bbolt.DB) []*delivery {
	t.Helper()
	j, pending := mustOpen(t, database(t, copyOf(t, db)))
	j.close()
	return pending
}

// copyOf returns the path of a copy of the database as it is on disk now.
func copyOf(t *testing.T, db *bbolt.DB) string {
	t.Helper()
	raw, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func makeDeliveries(n int) []*delivery {
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
	j, pending := mustOpen(t, db)
	defer j.close()
	expect(t, "pending at first", len(pending), 0)
	written := makeDeliveries(3)
	if err := j.append(written); err != nil {
		t.Fatal(err)
	}
	expect(t, "after a kill", afterKill(t, db), written)
}

func TestRemovedIsGoneAfterClose(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := mustOpen(t, db)
	written := makeDeliveries(3)
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

// TestRemovalReachesTheDisk checks that a removal gets a commit of its own when no append comes.
func TestRemovalReachesTheDisk(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := mustOpen(t, db)
	defer j.close()
	written := makeDeliveries(1)
	if err := j.append(written); err != nil {
		t.Fatal(err)
	}
	j.remove(written[0])
	eventually(t, "the removal is stored", func() bool { return !stored(db, written[0]) })
}

func TestConcurrentAppendsShareCommits(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := mustOpen(t, db)
	defer j.close()
	before := commits(t, db)
	const callers, calls = 16, 20
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				d := makeDeliveries(2)
				if err := j.append(d); err != nil {
					t.Error(err)
				}
				if !stored(db, d[1]) {
					t.Error("acknowledged before it was stored")
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

// stored reports whether a delivery is in the database.
func stored(db *bbolt.DB, d *delivery) (found bool) {
	_ = db.View(func(tx *bbolt.Tx) error {
		found = tx.Bucket(bucketName).Get(encodeKey(d.key)) != nil
		return nil
	})
	return found
}

// TestDuringACommit checks that changes made during a commit get the next one: appends at once, removals a little later.
func TestDuringACommit(t *testing.T) {
	db := database(t, filepath.Join(t.TempDir(), "j.db"))
	j, _ := mustOpen(t, db)
	defer j.close()
	old := makeDeliveries(1)
	if err := j.append(old); err != nil {
		t.Fatal(err)
	}
	busy, err := db.Begin(true) // every commit waits for this one
	if err != nil {
		t.Fatal(err)
	}
	var appends sync.WaitGroup
	appendOne := func() {
		d := makeDeliveries(1)
		if err := j.append(d); err != nil || !stored(db, d[0]) {
			t.Errorf("append: %v, or not stored", err)
		}
	}
	state := func(is func() bool) func() bool {
		return func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return is()
		}
	}
	appends.Go(appendOne)
	eventually(t, "the first append commits", state(func() bool { return j.committing && len(j.next.appended) == 0 }))
	appends.Go(appendOne)
	eventually(t, "the second append waits", state(func() bool { return len(j.next.appended) == 1 }))
	if err := busy.Rollback(); err != nil {
		t.Fatal(err)
	}
	appends.Wait()

	if busy, err = db.Begin(true); err != nil {
		t.Fatal(err)
	}
	appends.Go(appendOne)
	eventually(t, "the third append commits", state(func() bool { return j.committing && len(j.next.appended) == 0 }))
	j.remove(old[0])
	eventually(t, "the removal's own commit finds one under way", state(func() bool { return j.timer == nil }))
	if err := busy.Rollback(); err != nil {
		t.Fatal(err)
	}
	appends.Wait()
	eventually(t, "the removal is stored", func() bool { return !stored(db, old[0]) })
}

// eventually waits up to ten seconds for a condition that no event announces.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

// commits returns the number of write transactions that the database has seen.
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
	j, _ := mustOpen(t, db)
	defer j.close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(makeDeliveries(1)); err == nil {
		t.Error("an append without a database was acknowledged")
	}
}

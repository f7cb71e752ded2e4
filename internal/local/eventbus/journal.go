package eventbus

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
)

// A delivery is one event that is to reach one target of a rule, or an asynchronous invocation of a function.
type delivery struct {
	RuleARN    string
	TargetID   string
	Event      json.RawMessage
	AcceptedAt time.Time
	Retries    int  // made so far
	Scheduled  bool `json:",omitempty"` // the event comes from a schedule
	// Function is the ARN of a function that a call invokes; no rule then matches, and Event is the payload.
	Function string `json:",omitempty"`

	key  uint64           // in the journal
	last async.Invocation // what the last attempt of a function came to
}

// occurrence returns the event as the next attempt sees it.
func (d *delivery) occurrence() occurrence {
	return occurrence{event: d.Event, source: d.RuleARN, accepted: d.AcceptedAt, attempt: d.Retries + 1}
}

// lazyDelay is how long changes that may be lost wait for the commit of an append, before they get a commit of their own.
const lazyDelay = 200 * time.Millisecond

// bucketName is the journal's bucket in the database of the local run.
var bucketName = []byte("events")

// A boltJournal stores the deliveries that have not finished. Concurrent appends share a commit and its fsync.
type boltJournal struct {
	db *bbolt.DB

	mu         sync.Mutex
	next       *commit // collects what the next commit writes
	committing bool    // one goroutine commits at a time
	timer      *time.Timer
	closed     bool
}

// A commit is one transaction of the journal.
type commit struct {
	appended []*delivery
	archived []archived
	changed  map[uint64][]byte // nil: removed
	done     chan struct{}
	err      error // valid once done is closed
}

func newCommit() *commit {
	return &commit{changed: map[uint64][]byte{}, done: make(chan struct{})}
}

// openJournal returns the journal and the deliveries that an earlier run left in it.
func openJournal(db *bbolt.DB) (*boltJournal, []*delivery, error) {
	var pending []*delivery
	err := db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(bucketName)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(key, value []byte) error {
			d := &delivery{key: binary.BigEndian.Uint64(key)}
			if err := json.Unmarshal(value, d); err != nil {
				return fmt.Errorf("delivery %d: %w", d.key, err)
			}
			pending = append(pending, d)
			return nil
		})
	})
	return &boltJournal{db: db, next: newCommit()}, pending, err
}

// append adds deliveries, and events to archives. They are on disk when it returns without an error.
func (j *boltJournal) append(deliveries []*delivery, events ...archived) error {
	if len(deliveries) == 0 && len(events) == 0 {
		return nil
	}
	j.mu.Lock()
	mine := j.next
	mine.appended = append(mine.appended, deliveries...)
	mine.archived = append(mine.archived, events...)
	j.commit()
	<-mine.done
	return mine.err
}

// update stores how often a delivery was retried. A kill may undo it.
func (j *boltJournal) update(d *delivery) {
	j.changeLazily(d.key, encode(d))
}

// remove deletes a delivery that has finished. A kill may undo it; then the event is delivered again.
func (j *boltJournal) remove(d *delivery) { j.changeLazily(d.key, nil) }

func (j *boltJournal) changeLazily(key uint64, value []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next.changed[key] = value
	j.scheduleLazyCommit()
}

// scheduleLazyCommit starts the timer for the commit of lazy changes. Its caller holds the lock.
func (j *boltJournal) scheduleLazyCommit() {
	if j.timer != nil || j.closed || len(j.next.changed) == 0 {
		return
	}
	j.timer = time.AfterFunc(lazyDelay, func() {
		j.mu.Lock()
		j.timer = nil
		j.commit()
	})
}

// commit commits until no append waits, unless another goroutine does so already. Its caller holds the lock, which
// commit releases.
func (j *boltJournal) commit() {
	defer j.mu.Unlock()
	if j.committing {
		return
	}
	j.committing = true
	for ready := true; ready; ready = len(j.next.appended)+len(j.next.archived) > 0 {
		current := j.next
		j.next = newCommit()
		j.mu.Unlock()
		current.err = j.db.Update(current.write)
		close(current.done)
		j.mu.Lock()
	}
	j.committing = false
	j.scheduleLazyCommit()
}

func (c *commit) write(tx *bbolt.Tx) error {
	bucket := tx.Bucket(bucketName)
	for _, d := range c.appended {
		key, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		d.key = key
		if err := bucket.Put(encodeKey(key), encode(d)); err != nil {
			return err
		}
	}
	for _, event := range c.archived {
		if err := event.write(tx); err != nil {
			return err
		}
	}
	for key, value := range c.changed {
		if value == nil {
			if err := bucket.Delete(encodeKey(key)); err != nil {
				return err
			}
		} else if err := bucket.Put(encodeKey(key), value); err != nil {
			return err
		}
	}
	return nil
}

func encodeKey(key uint64) []byte { return binary.BigEndian.AppendUint64(nil, key) }

// close commits the changes that still wait.
func (j *boltJournal) close() {
	j.mu.Lock()
	j.closed = true
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
	j.commit()
}

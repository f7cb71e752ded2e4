package topics

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// A delivery is one message that is to reach one subscription.
type delivery struct {
	Subscription string // ARN
	Message      *published
	Retries      int // made so far

	key uint64 // in the journal
}

// lane names what must not overtake each other: the messages of a group of a FIFO topic on their way to one subscription.
// Other deliveries are in no lane, "".
func (d *delivery) lane() string {
	if d.Message.Sequence == "" {
		return ""
	}
	return d.Subscription + " " + d.Message.Group
}

// bucketName is the journal's bucket in the database of the local run.
var bucketName = []byte("messages of topics")

// A journal stores the deliveries that have not finished. Concurrent changes share a commit and its fsync.
type journal struct{ db *bbolt.DB }

// openJournal returns the journal and the deliveries that an earlier run left in it, in their order.
func openJournal(db *bbolt.DB) (*journal, []*delivery, error) {
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
	return &journal{db}, pending, err
}

// firstSequence is what the sequence numbers of FIFO messages begin above: they have twenty digits, as on AWS.
const firstSequence = 10_000_000_000_000_000_000

// append numbers the ordered messages, those of a FIFO topic, and adds deliveries. They are on disk when it returns without
// an error.
func (j *journal) append(ordered []*published, deliveries []*delivery) error {
	if len(ordered) == 0 && len(deliveries) == 0 {
		return nil
	}
	return j.db.Batch(func(tx *bbolt.Tx) error { // it may be called again
		bucket := tx.Bucket(bucketName)
		for _, m := range ordered {
			number, err := bucket.NextSequence()
			if err != nil {
				return err
			}
			m.Sequence = strconv.FormatUint(firstSequence+number, 10)
		}
		for _, d := range deliveries {
			var err error
			if d.key, err = bucket.NextSequence(); err != nil {
				return err
			}
			if err := bucket.Put(encodeKey(d.key), encode(d)); err != nil {
				return err
			}
		}
		return nil
	})
}

// update stores how often a delivery was retried.
func (j *journal) update(d *delivery) error {
	return j.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketName).Put(encodeKey(d.key), encode(d)) })
}

// remove deletes a delivery that has finished.
func (j *journal) remove(d *delivery) error {
	return j.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketName).Delete(encodeKey(d.key)) })
}

func encodeKey(key uint64) []byte { return binary.BigEndian.AppendUint64(nil, key) }

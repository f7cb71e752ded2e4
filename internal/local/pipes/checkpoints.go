package pipes

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// A boltCheckpoints stores the checkpoints of one pipe and one stream in a bucket of its own, so that a pipe starts
// from the beginning when its table was created again.
type boltCheckpoints struct {
	db     *bbolt.DB
	bucket []byte
}

func newBoltCheckpoints(db *bbolt.DB, pipe, stream string) *boltCheckpoints {
	return &boltCheckpoints{db: db, bucket: []byte("pipe " + pipe + " from " + stream)}
}

// Load implements Checkpoints.
func (c *boltCheckpoints) Load() (map[string]Checkpoint, error) {
	var checkpoints map[string]Checkpoint
	err := c.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(c.bucket)
		if bucket == nil {
			return nil
		}
		checkpoints = map[string]Checkpoint{}
		return bucket.ForEach(func(shard, raw []byte) error {
			var p Checkpoint
			if err := json.Unmarshal(raw, &p); err != nil {
				return fmt.Errorf("shard %s: %w", shard, err)
			}
			checkpoints[string(shard)] = p
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load checkpoints: %w", err)
	}
	return checkpoints, nil
}

// Save implements Checkpoints. bbolt syncs to the disk before Update returns.
func (c *boltCheckpoints) Save(checkpoints map[string]Checkpoint) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(c.bucket)
		if err != nil {
			return err
		}
		for shard, checkpoint := range checkpoints {
			raw, err := json.Marshal(checkpoint)
			if err != nil {
				return err
			}
			if err := bucket.Put([]byte(shard), raw); err != nil {
				return err
			}
		}
		return nil
	})
}

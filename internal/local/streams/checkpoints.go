package streams

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// Checkpoints stores the checkpoints of one reader's shards.
type Checkpoints interface {
	// Load returns the checkpoints by shard, or nil when none was ever saved.
	Load() (map[string]Checkpoint, error)
	// Save stores the checkpoints of some shards, all or none. Once it returns they survive a kill -9.
	Save(checkpoints map[string]Checkpoint) error
}

// A Checkpoint is the place in a shard up to which all records are settled.
type Checkpoint struct {
	After string `json:"after,omitempty"` // sequence number of the last settled record; empty: none
	Ended bool   `json:"ended,omitempty"` // the shard is closed and all its records are settled
}

// A boltCheckpoints stores the checkpoints of one reader and one stream in a bucket of its own.
type boltCheckpoints struct {
	db     *bbolt.DB
	bucket []byte
}

// NewCheckpoints returns the checkpoints of a reader in the database. They belong to one stream, so a reader starts
// from the beginning when its table was created again. The database must not be opened with NoSync.
func NewCheckpoints(db *bbolt.DB, reader, stream string) Checkpoints {
	return &boltCheckpoints{db: db, bucket: []byte(reader + " from " + stream)}
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

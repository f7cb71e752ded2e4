// Package drift keeps what was changed on a resource by an API call after its template had made it, as AWS keeps it:
// over a restart, until the template gives the resource other properties.
package drift

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// A Store keeps the changes of the resources of one kind.
type Store struct {
	db     *bbolt.DB // nil: changes last as long as the run
	bucket []byte
}

// New returns the store of the resources of a kind, for example "pipes". Without a database, changes last only as
// long as the run.
func New(db *bbolt.DB, kind string) *Store {
	return &Store{db: db, bucket: []byte("drift of " + kind)}
}

// A change is what the store keeps of one resource.
type change struct {
	Properties json.RawMessage // of the template, when the change was made
	Value      json.RawMessage
}

// Load decodes the change of a resource into value and reports whether there is one. A change that was made when the
// template gave the resource other properties counts as none.
func (s *Store) Load(resource string, properties, value any) (found bool, err error) {
	if s.db == nil {
		return false, nil
	}
	template, err := json.Marshal(properties)
	if err != nil {
		return false, err
	}
	var kept change
	err = s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(s.bucket)
		if bucket == nil {
			return nil
		}
		if raw := bucket.Get([]byte(resource)); raw != nil {
			return json.Unmarshal(raw, &kept)
		}
		return nil
	})
	if err == nil && kept.Value != nil && bytes.Equal(kept.Properties, template) {
		found, err = true, json.Unmarshal(kept.Value, value)
	}
	if err != nil {
		return false, fmt.Errorf("load what was changed on %s: %w", resource, err)
	}
	return found, nil
}

// Save stores the change of a resource whose template gives it these properties. It is durable when Save returns.
func (s *Store) Save(resource string, properties, value any) error {
	if s.db == nil {
		return nil
	}
	err := s.save(resource, properties, value)
	if err != nil {
		return fmt.Errorf("store what was changed on %s: %w", resource, err)
	}
	return nil
}

func (s *Store) save(resource string, properties, value any) error {
	var kept change
	var err error
	if kept.Properties, err = json.Marshal(properties); err != nil {
		return err
	}
	if kept.Value, err = json.Marshal(value); err != nil {
		return err
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(s.bucket)
		if err != nil {
			return err
		}
		return bucket.Put([]byte(resource), raw)
	})
}

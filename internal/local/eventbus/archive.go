package eventbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// pruneEvery is how often events that an archive no longer keeps are deleted.
const pruneEvery = time.Hour

// An archive keeps the events of a bus that match its pattern. Replayed events are not archived, as on AWS.
type archive struct {
	name, arn  string
	busARN     string
	settings   archiveSettings
	pattern    *pattern.Pattern // nil: all events
	created    time.Time
	properties map[string]any // in the template; nil: it has none
}

// archiveSettings are what UpdateArchive may change.
type archiveSettings struct {
	Description  string
	EventPattern json.RawMessage `json:",omitempty"`
	Days         int             // 0: without end
}

// archiveProperties are the properties of AWS::Events::Archive.
type archiveProperties struct {
	ArchiveName   string
	SourceArn     string
	EventPattern  json.RawMessage
	RetentionDays template.Int
	Description   string

	KmsKeyIdentifier template.Ignored
}

func (s *Service) provisionArchive(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p archiveProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.ArchiveName == "" {
		p.ArchiveName = r.PhysicalName
	}
	b, err := s.findBus(p.SourceArn)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("SourceArn: %w", adviseBus(err, p.SourceArn))
	}
	made, err := s.newArchive(p.ArchiveName, b, archiveSettings{p.Description, p.EventPattern, int(p.RetentionDays)})
	if err != nil {
		return template.Attributes{}, err
	}
	made.properties = r.Properties
	made, err = s.restoreArchive(made)
	if err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if made != nil {
		s.archives = append(s.archives, made)
	}
	return template.Attributes{Ref: p.ArchiveName, GetAtt: map[string]string{"Arn": s.archiveARN(p.ArchiveName), "ArchiveName": p.ArchiveName}}, nil
}

func (s *Service) archiveARN(name string) string { return s.cloud.ARN("events", "archive/"+name) }

// archiveName is the syntax of an archive's name. Source: EventBridge API reference, CreateArchive.
var archiveName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,48}$`)

// newArchive returns an archive, or an error that names everything that is wrong with it.
func (s *Service) newArchive(name string, b *bus, set archiveSettings) (*archive, error) {
	a := &archive{name: name, arn: s.archiveARN(name), busARN: b.arn, settings: set, created: time.Now()}
	var problems []error
	if !archiveName.MatchString(name) {
		problems = append(problems, fmt.Errorf("ArchiveName must be 1 to 48 letters, digits, dots, dashes and underscores, got %q", name))
	}
	if len(set.EventPattern) > 0 {
		var err error
		if a.pattern, err = pattern.Compile(set.EventPattern, pattern.Rules); err != nil {
			problems = append(problems, fmt.Errorf("EventPattern: %w", err))
		}
	}
	if set.Days < 0 {
		problems = append(problems, fmt.Errorf("RetentionDays must be a whole number from 0, got %d", set.Days))
	}
	return a, errors.Join(problems...)
}

// bucket returns the bucket of the archive's events: by the time of the event in seconds, then in the order of arrival.
func (a *archive) bucket() []byte { return []byte("archive " + a.name) }

// keeps reports whether the archive keeps an event of a bus.
func (a *archive) keeps(b *bus, decoded pattern.Event) bool {
	return a.busARN == b.arn && (a.pattern == nil || a.pattern.Match(decoded))
}

// oldest returns the time before which the archive keeps no event.
func (a *archive) oldest(now time.Time) time.Time {
	if a.settings.Days == 0 {
		return time.Unix(0, 0)
	}
	return now.AddDate(0, 0, -a.settings.Days)
}

// An archived is an event that an archive is to keep.
type archived struct {
	bucket []byte
	at     time.Time // of the event
	event  json.RawMessage
}

func (a archived) write(tx *bbolt.Tx) error {
	bucket, err := tx.CreateBucketIfNotExists(a.bucket)
	if err != nil {
		return err
	}
	n, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	return bucket.Put(append(archiveKey(a.at), encodeKey(n)...), a.event)
}

// archiveKey returns the first part of the keys of the events of a second.
func archiveKey(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(at.Unix(), 0)))
}

func keyTime(key []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint64(key)), 0) }

// prune deletes what the archives no longer keep, until ctx is done.
func (s *Service) prune(ctx context.Context) error {
	for {
		if err := s.pruneOnce(time.Now()); err != nil {
			return fmt.Errorf("delete old events of the archives: %w", err)
		}
		if !sleep(ctx, pruneEvery) {
			return nil
		}
	}
}

func (s *Service) pruneOnce(now time.Time) error {
	for _, a := range s.allArchives() {
		if a.settings.Days == 0 {
			continue
		}
		err := s.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(a.bucket())
			if bucket == nil {
				return nil
			}
			end := archiveKey(a.oldest(now))
			c := bucket.Cursor()
			for key, _ := c.First(); key != nil && bytes.Compare(key, end) < 0; key, _ = c.Next() {
				if err := c.Delete(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) allArchives() []*archive {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]*archive{}, s.archives...)
}

// archiveWith returns the archive that fits, or nil.
func (s *Service) archiveWith(fits func(*archive) bool) *archive {
	for _, a := range s.allArchives() {
		if fits(a) {
			return a
		}
	}
	return nil
}

// size returns how many events an archive has, and how many bytes they are.
func (s *Service) size(a *archive) (count, bytes int64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(a.bucket())
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(_, value []byte) error {
			count, bytes = count+1, bytes+int64(len(value))
			return nil
		})
	})
	return count, bytes, err
}

package eventbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// The states of a replay. Source: EventBridge API reference, DescribeReplay.
const (
	replayStarting   = "STARTING"
	replayRunning    = "RUNNING"
	replayCancelling = "CANCELLING"
	replayCompleted  = "COMPLETED"
	replayCancelled  = "CANCELLED"
	replayFailed     = "FAILED"
)

const (
	// replayChunk is how many events of a replay are read, mixed and sent together.
	replayChunk = 200
	// maxUnderWay is how many deliveries may be under way while a replay continues.
	maxUnderWay = 1000
	// replayPause is the wait while there are more.
	replayPause = 20 * time.Millisecond
)

// replaysBucket holds the replays by name.
var replaysBucket = []byte("replays")

// A replay sends events of an archive to rules of its bus again. It survives a kill: the next run continues after
// Position, so some events may be sent twice.
type replay struct {
	Name, Description  string
	ArchiveARN, BusARN string
	RuleARNs           []string // empty: all rules
	From, To           time.Time
	State, Reason      string
	Started, Ended     time.Time
	LastReplayed       time.Time
	Position           []byte // key of the last event that was sent
}

// loadReplays reads the replays of earlier runs.
func (s *Service) loadReplays() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(replaysBucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(name, raw []byte) error {
			var r replay
			if err := json.Unmarshal(raw, &r); err != nil {
				return fmt.Errorf("replay %s: %w", name, err)
			}
			s.replays[r.Name] = &r
			return nil
		})
	})
}

// editReplay changes a replay, stores it and returns a copy of it.
func (s *Service) editReplay(name string, edit func(*replay)) (replay, error) {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	changed := *s.replays[name]
	edit(&changed)
	if err := s.storeReplay(&changed); err != nil {
		return replay{}, err
	}
	s.replays[name] = &changed
	return changed, nil
}

func (s *Service) storeReplay(r *replay) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(replaysBucket)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return bucket.Put([]byte(r.Name), raw)
	})
	if err != nil {
		return fmt.Errorf("store replay %s: %w", r.Name, err)
	}
	return nil
}

// runReplays runs the replays that have not ended, one after the other, and those that are started, until ctx is done.
func (s *Service) runReplays(ctx context.Context) error {
	for {
		name := s.nextReplay()
		if name != "" {
			if err := s.runReplay(ctx, name); err != nil || ctx.Err() != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.replayStarted:
		}
	}
}

// nextReplay returns the name of a replay that has not ended, the one that was started first, or "".
func (s *Service) nextReplay() string {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	var next *replay
	for _, r := range s.replays {
		if r.Ended.IsZero() && (next == nil || r.Started.Before(next.Started)) {
			next = r
		}
	}
	if next == nil {
		return ""
	}
	return next.Name
}

// runReplay runs one replay to its end, or until ctx is done.
func (s *Service) runReplay(ctx context.Context, name string) error {
	for {
		r, err := s.editReplay(name, func(r *replay) {
			if r.State == replayStarting {
				r.State = replayRunning
			}
		})
		if err != nil {
			return err
		}
		if r.State == replayCancelling {
			return s.endReplay(name, replayCancelled, "")
		}
		a := s.archiveWith(func(a *archive) bool { return a.arn == r.ArchiveARN })
		if a == nil {
			return s.endReplay(name, replayFailed, "the archive no longer exists")
		}
		keys, events, err := s.nextChunk(a, r)
		if err != nil {
			return fmt.Errorf("read archive %s: %w", a.name, err)
		}
		if len(events) == 0 {
			return s.endReplay(name, replayCompleted, "")
		}
		if err := s.sendReplayed(r, events); err != nil {
			return err
		}
		last := keys[len(keys)-1]
		if _, err := s.editReplay(name, func(r *replay) { r.Position, r.LastReplayed = last, keyTime(last) }); err != nil {
			return err
		}
		for s.dispatcher.underWay.Load() > maxUnderWay {
			if !sleep(ctx, replayPause) {
				break
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (s *Service) endReplay(name, state, reason string) error {
	_, err := s.editReplay(name, func(r *replay) { r.State, r.Reason, r.Ended = state, reason, time.Now() })
	return err
}

// nextChunk returns the next events of a replay with their keys, in the order of the archive.
func (s *Service) nextChunk(a *archive, r replay) (keys [][]byte, events []json.RawMessage, err error) {
	first := archiveKey(r.From)
	if oldest := a.oldest(time.Now()); oldest.After(r.From) {
		first = archiveKey(oldest)
	}
	end := archiveKey(r.To)
	err = s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(a.bucket())
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		key, value := c.Seek(first)
		if bytes.Compare(r.Position, first) > 0 {
			if key, value = c.Seek(r.Position); bytes.Equal(key, r.Position) {
				key, value = c.Next()
			}
		}
		for ; key != nil && bytes.Compare(key, end) < 0 && len(keys) < replayChunk; key, value = c.Next() {
			keys, events = append(keys, bytes.Clone(key)), append(events, bytes.Clone(value))
		}
		return nil
	})
	return keys, events, err
}

// sendReplayed accepts events of a replay for the targets of the rules that match, in any order, as on AWS.
// Source: EventBridge user guide, eb-replay-archived-event.
func (s *Service) sendReplayed(r replay, events []json.RawMessage) error {
	b, err := s.findBus(r.BusARN)
	if err != nil {
		return err
	}
	events = slices.Clone(events)
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	var deliveries []*delivery
	for _, event := range events {
		marked := withReplayName(event, r.Name)
		decoded, err := pattern.Decode(marked)
		if err != nil {
			continue // an archived event is always a JSON object
		}
		deliveries = append(deliveries, s.deliveriesOf(b, decoded, marked, r.RuleARNs)...)
	}
	if err := s.journal.append(deliveries); err != nil {
		return fmt.Errorf("store the deliveries in the journal: %w", err)
	}
	s.dispatcher.dispatch(deliveries)
	return nil
}

// withReplayName returns the event with the field by which a replayed one is known.
func withReplayName(event json.RawMessage, name string) json.RawMessage {
	field := append([]byte(`,"replay-name":`), encode(name)...)
	return slices.Concat(bytes.TrimSuffix(event, []byte("}")), field, []byte("}"))
}

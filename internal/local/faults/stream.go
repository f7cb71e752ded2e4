package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

var errExpired = errors.New("ExpiredIteratorException: injected")

// heldCursor is the cursor to the records of a shard that were read and not returned yet.
const heldCursor = "faults: held"

// A stream injects faults into the stream of a pipe. It decides for each record, once each time it is read, so that
// the decision does not depend on how the records fall into pages.
type stream struct {
	pipes.Stream
	*Injector
	pipe string

	mu     sync.Mutex
	shards map[string]*shard
}

// A shard holds the records of a shard that were read and not returned yet.
type shard struct {
	rest    []pipes.Record
	decided int        // the first so many records of the rest are not checked again
	then    pipes.Page // the page that follows the rest; it has no records
	paused  time.Time  // until then reads return nothing
	empty   bool       // the next read returns nothing
	expired bool       // the next read fails
}

// Read implements pipes.Stream.
func (s *stream) Read(ctx context.Context, id, cursor string) (pipes.Page, error) {
	s.mu.Lock()
	sh := s.shards[id]
	s.mu.Unlock()
	if cursor != heldCursor {
		page, err := s.Stream.Read(ctx, id, cursor)
		if err != nil || len(page.Records) == 0 || s.isIdle() {
			return page, err
		}
		sh = &shard{rest: page.Records, then: pipes.Page{Next: page.Next, End: page.End}}
		s.mu.Lock()
		s.shards[id] = sh
		s.mu.Unlock()
	}
	if sh.expired {
		return pipes.Page{}, errExpired
	}
	if sh.empty || time.Now().Before(sh.paused) && !s.isIdle() {
		sh.empty = false
		return pipes.Page{Next: heldCursor}, nil
	}
	return s.nextPage(sh)
}

// nextPage returns the records before the first one that is to wait. Only one goroutine reads a shard.
func (s *stream) nextPage(sh *shard) (pipes.Page, error) {
	var given []pipes.Record
	again := -1 // index of the first returned record that is to be read again
	for len(sh.rest) > 0 && s.isGivenNow(sh, len(given), &again) {
		given = append(given, sh.rest[0])
		sh.rest = sh.rest[1:]
		sh.decided = max(sh.decided-1, 0)
	}
	if sh.expired && len(given) == 0 {
		return pipes.Page{}, errExpired
	}
	if again >= 0 {
		repeated := given[again:]
		sh.rest = append(append([]pipes.Record(nil), repeated...), sh.rest...)
		sh.decided += len(repeated)
	}
	page := sh.then
	if len(sh.rest) > 0 {
		page = pipes.Page{Next: heldCursor}
	}
	page.Records = given
	return page, nil
}

// isGivenNow decides whether the next record, the nth of its page, is returned now.
func (s *stream) isGivenNow(sh *shard, n int, again *int) bool {
	if sh.decided > 0 {
		return true
	}
	sub := s.record(sh.rest[0], s.pipe)
	switch {
	case s.fires(StreamExpiredIterator, sub):
		sh.expired = true
		return false
	case s.fires(StreamPause, sub):
		sh.paused, sh.decided = time.Now().Add(stopFor), 1
		return false
	case s.fires(StreamEmpty, sub):
		sh.empty, sh.decided = n > 0, 1
		return false
	case s.fires(StreamRedeliver, sub) && *again < 0:
		*again = n
	}
	return true
}

// record returns the subject of a stream record: its event, or its item.
func (i *Injector) record(r pipes.Record, pipe string) subject {
	event, _ := r.Event.(map[string]any)
	change, _ := event["dynamodb"].(map[string]any)
	item, _ := change["NewImage"].(map[string]any)
	s := i.names.inItem(item)
	if s.key == "" {
		s = subject{key: i.names.replaceUnstableIDs(r.Key)}
	}
	return s.at(pipe)
}

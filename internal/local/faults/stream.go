package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

var errExpired = errors.New("ExpiredIteratorException: injected")

// held is the cursor to the records of a shard that were read and are not given out yet.
const held = "faults: held"

// stream breaks what a pipe reads from. A decision is made for each record, once each time it is read, so
// that it does not depend on how the records fall into pages.
type stream struct {
	pipes.Stream
	*Injector
	pipe string

	mu     sync.Mutex
	shards map[string]*shard
}

// shard is what was read from a shard and is not given out yet.
type shard struct {
	rest    []pipes.Record
	decided int        // so many records of the rest pass without being asked for
	then    pipes.Page // what follows the rest; it has no records
	paused  time.Time  // until then nothing is given
	empty   bool       // the next read gives nothing
	expired bool       // the next read fails
}

// Read implements pipes.Stream.
func (s *stream) Read(ctx context.Context, id, cursor string) (pipes.Page, error) {
	s.mu.Lock()
	sh := s.shards[id]
	s.mu.Unlock()
	if cursor != held {
		page, err := s.Stream.Read(ctx, id, cursor)
		if err != nil || len(page.Records) == 0 {
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
	if sh.empty || time.Now().Before(sh.paused) && !s.isHealed() {
		sh.empty = false
		return pipes.Page{Next: held}, nil
	}
	return s.give(sh)
}

// give gives out records up to the first one that is to wait. Only one goroutine reads a shard.
func (s *stream) give(sh *shard) (pipes.Page, error) {
	var given []pipes.Record
	again := -1 // the first of those given that are to come again
	for len(sh.rest) > 0 && s.passes(sh, len(given), &again) {
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
		page = pipes.Page{Next: held}
	}
	page.Records = given
	return page, nil
}

// passes says whether the next record, the nth of its page, is given now.
func (s *stream) passes(sh *shard, n int, again *int) bool {
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

// record names a record of a stream by its event, or by its item.
func (i *Injector) record(r pipes.Record, pipe string) subject {
	change, _ := r.Event["dynamodb"].(map[string]any)
	item, _ := change["NewImage"].(map[string]any)
	s := i.names.inItem(item)
	if s.key == "" {
		s = subject{key: i.names.stable(r.Key)}
	}
	return s.at(pipe)
}

package pipes

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The wait after an empty read: short while there is traffic, so that an event passes fast, and long enough that an
// idle pipe costs next to nothing. AWS reads four times a second.
// Source: EventBridge user guide, eb-pipes-dynamodb.
const (
	idleMin = 20 * time.Millisecond
	idleMax = 100 * time.Millisecond
)

// A reader reads one shard and finds its place again when its cursor is no longer valid.
type reader struct {
	stream  Stream
	shard   string
	after   string // sequence number of the last record read
	cursor  string
	polled  time.Time // when the last read began
	trimmed func()    // called when the stream no longer has the place; may be nil
}

// read returns the next page. After an error the next read continues at the same place.
func (r *reader) read(ctx context.Context) (Page, error) {
	if r.cursor == "" {
		if err := r.open(ctx); err != nil {
			return Page{}, err
		}
	}
	page, err := r.stream.Read(ctx, r.shard, r.cursor)
	if err != nil {
		r.cursor = ""
		if errors.Is(err, ErrTrimmed) {
			if r.after == "" {
				// DynamoDB Local 3.3.0 returns this error for an iterator that it returned for the empty shard, once
				// the first record is there. No place is lost: the oldest record is still the next.
				return Page{}, nil
			}
			r.skipToOldest()
		}
		return Page{}, fmt.Errorf("read shard %s: %w", r.shard, err)
	}
	r.cursor = page.Next
	if n := len(page.Records); n > 0 {
		r.after = page.Records[n-1].SequenceNumber
	}
	return page, nil
}

// open opens the shard at the reader's place, or at its oldest record when the stream no longer has the place.
func (r *reader) open(ctx context.Context) error {
	cursor, err := r.stream.Open(ctx, r.shard, r.after)
	if errors.Is(err, ErrTrimmed) && r.after != "" {
		r.skipToOldest()
		cursor, err = r.stream.Open(ctx, r.shard, r.after)
	}
	if err != nil {
		return fmt.Errorf("open shard %s: %w", r.shard, err)
	}
	r.cursor = cursor
	return nil
}

func (r *reader) skipToOldest() {
	r.after = ""
	if r.trimmed != nil {
		r.trimmed()
	}
}

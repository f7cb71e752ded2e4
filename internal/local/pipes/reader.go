package pipes

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How long to wait after an empty read: short while there is traffic, so that an event passes fast, and
// long enough that an idle pipe costs next to nothing. AWS reads four times a second.
// Source: EventBridge user guide, eb-pipes-dynamodb.
const (
	idleMin = 20 * time.Millisecond
	idleMax = 100 * time.Millisecond
)

// reader reads one shard and finds its place again when the stream loses it.
type reader struct {
	stream  Stream
	shard   string
	after   string // sequence number of the last record read
	cursor  string
	polled  time.Time // when the last read began, if it left nothing unread
	trimmed func()    // told when the place is gone from the stream; may be nil
}

// read gives the next page. An error leaves the reader where it was.
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
				// DynamoDB Local 3.3.0 says so of an iterator that it gave for the empty shard, once the first
				// record is there. No place is lost: the oldest record is still the next.
				return Page{}, nil
			}
			r.lost()
		}
		return Page{}, fmt.Errorf("read shard %s: %w", r.shard, err)
	}
	r.cursor = page.Next
	if n := len(page.Records); n > 0 {
		r.after = page.Records[n-1].SequenceNumber
	}
	return page, nil
}

// open finds the place. Where it is gone, the oldest record that is left is the next.
func (r *reader) open(ctx context.Context) error {
	cursor, err := r.stream.Open(ctx, r.shard, r.after)
	if errors.Is(err, ErrTrimmed) && r.after != "" {
		r.lost()
		cursor, err = r.stream.Open(ctx, r.shard, r.after)
	}
	if err != nil {
		return fmt.Errorf("open shard %s: %w", r.shard, err)
	}
	r.cursor = cursor
	return nil
}

func (r *reader) lost() {
	r.after = ""
	if r.trimmed != nil {
		r.trimmed()
	}
}

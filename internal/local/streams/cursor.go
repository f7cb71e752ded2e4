package streams

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The wait after an empty read: short while there is traffic, so that an event passes fast, and long enough that an
// idle reader costs next to nothing. AWS reads four times a second.
// Source: EventBridge user guide, eb-pipes-dynamodb.
const (
	idleMin = 20 * time.Millisecond
	idleMax = 100 * time.Millisecond
)

// A place reads one shard and finds its place again when its cursor is no longer valid.
type place struct {
	stream  Stream
	shard   string
	after   string // sequence number of the last record read
	cursor  string
	polled  time.Time // when the last read began
	trimmed func()    // called when the stream no longer has the place; may be nil
}

// read returns the next page. After an error the next read continues at the same place.
func (p *place) read(ctx context.Context) (Page, error) {
	if p.cursor == "" {
		if err := p.open(ctx); err != nil {
			return Page{}, err
		}
	}
	page, err := p.stream.Read(ctx, p.shard, p.cursor)
	if err != nil {
		p.cursor = ""
		if errors.Is(err, ErrTrimmed) {
			if p.after == "" {
				// DynamoDB Local 3.3.0 returns this error for an iterator that it returned for the empty shard, once
				// the first record is there. No place is lost: the oldest record is still the next.
				return Page{}, nil
			}
			p.skipToOldest()
		}
		return Page{}, fmt.Errorf("read shard %s: %w", p.shard, err)
	}
	p.cursor = page.Next
	if n := len(page.Records); n > 0 {
		p.after = page.Records[n-1].SequenceNumber
	}
	return page, nil
}

// open opens the shard at the place, or at its oldest record when the stream no longer has the place.
func (p *place) open(ctx context.Context) error {
	cursor, err := p.stream.Open(ctx, p.shard, p.after)
	if errors.Is(err, ErrTrimmed) && p.after != "" {
		p.skipToOldest()
		cursor, err = p.stream.Open(ctx, p.shard, p.after)
	}
	if err != nil {
		return fmt.Errorf("open shard %s: %w", p.shard, err)
	}
	p.cursor = cursor
	return nil
}

func (p *place) skipToOldest() {
	p.after = ""
	if p.trimmed != nil {
		p.trimmed()
	}
}

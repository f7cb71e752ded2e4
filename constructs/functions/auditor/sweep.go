package main

import (
	"context"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// pageSize is how many items of a list are read at once.
const pageSize = 1000

// sweepsAtMost is how many items of a list one run reads: the rest is for the next one, so that a long list costs no more. A
// test makes it smaller.
var sweepsAtMost = 10_000

// A sweep looks again for the missing effects of one consumer, the oldest first.
type sweep struct {
	*run
	consumer *audit.Consumer
	cursor   audit.Cursor
	read     int
	// eager: one of the effects has come, so others may have too. Then those whose next look is not due are looked for as
	// well, and a list that has become long is short again soon.
	eager bool
}

// sweep looks again for what is missing of a consumer. It goes on where the last run stopped, and stops at the end of the
// list, when it has read enough, or when its time is over.
func (r *run) sweep(ctx context.Context, c *audit.Consumer, end time.Time) error {
	cursor, err := r.list.Cursor(ctx, r.tables, c.Name)
	if err != nil {
		return err
	}
	s := sweep{run: r, consumer: c, cursor: cursor}
	for {
		page, next, err := r.list.Page(ctx, c.Name, s.cursor.After, pageSize)
		if err != nil {
			return err
		}
		if err := s.look(ctx, page); err != nil {
			return err
		}
		s.read += len(page)
		s.cursor.After = next
		if next == "" || s.read >= sweepsAtMost || !time.Now().Before(end) {
			break
		}
	}
	return s.finish(ctx, cursor)
}

// finish notes where the next run goes on, and what was found.
func (s *sweep) finish(ctx context.Context, before audit.Cursor) error {
	if s.cursor.After == "" {
		s.cursor = audit.Cursor{Total: s.cursor.Counted}
	}
	if s.cursor != before && (before.After != "" || s.cursor.After != "") {
		if err := s.list.SetCursor(ctx, s.consumer.Name, s.cursor); err != nil {
			return err
		}
	}
	f := s.findings[s.consumer.Name]
	if before.After == "" && s.cursor == (audit.Cursor{}) {
		f.swept = true // and the list is empty
		return nil
	}
	oldest, _, err := s.list.Page(ctx, s.consumer.Name, "", 1)
	if err != nil {
		return err
	}
	f.swept = true
	if len(oldest) > 0 {
		f.unconfirmed, f.oldest = max(1, s.cursor.Total, s.cursor.Counted), oldest[0].WrittenAt
	}
	return nil
}

// look looks for the missing effects of a page that are due.
func (s *sweep) look(ctx context.Context, page []audit.Unconfirmed) error {
	now := time.Now()
	var due, rest []audit.Unconfirmed
	for _, u := range page {
		if u.NextCheckAt.After(now) && u.ExpiresAt.After(now) && !s.eager {
			rest = append(rest, u)
		} else {
			due = append(due, u)
		}
	}
	if err := s.lookFor(ctx, due); err != nil {
		return err
	}
	if s.eager {
		return s.lookFor(ctx, rest)
	}
	s.cursor.Counted += int64(len(rest))
	return nil
}

// lookFor looks for missing effects: those that came leave the list, those of expired events too.
func (s *sweep) lookFor(ctx context.Context, missing []audit.Unconfirmed) error {
	now := time.Now()
	effects := make([]audit.Effect, len(missing))
	for i, u := range missing {
		effects[i] = audit.Effect{Event: u.Event, Consumer: s.consumer}
	}
	verdicts, err := audit.Confirm(ctx, s.tables, effects)
	if err != nil {
		return err
	}
	var gone, open []audit.Unconfirmed
	for i, v := range verdicts {
		u := missing[i]
		switch {
		case v.Confirmed:
			s.eager = true
			s.findings[s.consumer.Name].confirm(u.Event, v)
			gone = append(gone, u)
		case !u.ExpiresAt.After(now):
			s.logger.Error("an event has expired without effect", "consumer", u.Consumer, "eventId", u.ID, "source", u.Source,
				"aggregateType", u.AggregateType, "aggregateId", u.AggregateID, "version", u.Version, "writtenAt", u.WrittenAt, "reason", v.Reason)
			gone = append(gone, u)
		default:
			s.cursor.Counted++
			if !u.NextCheckAt.After(now) {
				open = append(open, u)
			}
		}
	}
	if err := each(ctx, gone, s.list.Remove); err != nil {
		return err
	}
	return each(ctx, open, func(ctx context.Context, u audit.Unconfirmed) error {
		return s.list.NoteCheck(ctx, u, now.Add(pauseAfter(u.Checks+1)))
	})
}

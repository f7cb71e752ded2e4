package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

const (
	// looksBeforeRepair is how often an effect must have been looked for in vain before its event is sent again.
	looksBeforeRepair = 2
	// firstRepairPause is the pause between the first repair of an event and the second; it doubles up to longestRepairPause.
	firstRepairPause   = 15 * time.Minute
	longestRepairPause = 4 * time.Hour
)

// repairable reports whether it is time to send an event again.
func repairable(u audit.Unconfirmed, now time.Time) bool {
	if u.Checks < looksBeforeRepair || !u.ExpiresAt.After(now) {
		return false
	}
	return u.Repairs == 0 || !now.Before(u.RepairedAt.Add(min(longestRepairPause, firstRepairPause<<min(u.Repairs-1, 10))))
}

// repair sends events again to a consumer that misses them, the oldest first and as many as may be in a run. It sends none
// that waits in a dead-letter queue, and none while the consumer is behind: what is missing may then still come.
func (r *run) repair(ctx context.Context, c *audit.Consumer) error {
	if f := r.findings[c.Name]; !f.swept || f.unconfirmed == 0 || c.Queue == "" {
		return nil
	}
	behind, err := audit.Behind(ctx, r.queues, c)
	if behind || err != nil {
		return err
	}
	waiting, err := audit.Peek(ctx, r.queues, c.DeadLetterQueue, c.RuleDeadLetterQueue,
		r.settings.Outbox.RuleDeadLetterQueue, r.settings.Outbox.PipeDeadLetterQueue)
	if err != nil {
		return err
	}
	if !waiting.Complete {
		r.logger.Warn("nothing is repaired: not all dead-letter messages could be seen", "consumer", c.Name)
		return nil
	}
	chosen, err := r.choose(ctx, c, waiting)
	if err != nil {
		return err
	}
	return r.sendAgain(ctx, c, chosen)
}

// choose returns the events to send.
func (r *run) choose(ctx context.Context, c *audit.Consumer, waiting *audit.DeadLetters) ([]audit.Unconfirmed, error) {
	now := time.Now()
	var chosen []audit.Unconfirmed
	read := 0
	for u, err := range r.list.Of(ctx, c.Name) {
		if err != nil {
			return nil, err
		}
		if read++; read > sweepsAtMost || len(chosen) == r.repairs || !time.Now().Before(r.end) {
			break
		}
		if _, waits := waiting.Find(audit.Effect{Event: u.Event, Consumer: c}); !waits && repairable(u, now) {
			chosen = append(chosen, u)
		}
	}
	return chosen, nil
}

// sendAgain sends those of the events whose effects are still missing. Each is noted before it is sent: should the run end
// in between, the event is sent after the next pause, and never twice at once.
func (r *run) sendAgain(ctx context.Context, c *audit.Consumer, chosen []audit.Unconfirmed) error {
	effects := make([]audit.Effect, len(chosen))
	for i, u := range chosen {
		effects[i] = audit.Effect{Event: u.Event, Consumer: c}
	}
	verdicts, err := audit.Confirm(ctx, r.tables, effects)
	if err != nil {
		return err
	}
	repairer := audit.Repairer{Items: r.tables, Queues: r.queues, OutboxTable: r.settings.Outbox.Table, Place: r.place}
	var problems []error
	for i, u := range chosen {
		if !time.Now().Before(r.end) {
			break
		}
		if verdicts[i].Confirmed {
			continue // the next sweep takes it off the list
		}
		mine, err := r.list.NoteRepair(ctx, u, time.Now())
		if err == nil && mine {
			err = repairer.Send(ctx, effects[i])
		}
		switch {
		case errors.Is(err, audit.ErrExpired):
			r.logger.Error("an event without effect cannot be repaired", "consumer", c.Name, "eventId", u.ID, "source", u.Source, "error", err)
		case err != nil:
			problems = append(problems, err)
		case mine:
			r.logger.Warn("an event without effect was sent again", "consumer", c.Name, "eventId", u.ID, "source", u.Source, "reason", verdicts[i].Reason)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	return nil
}

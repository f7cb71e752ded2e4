package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

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

// repairAll repairs consumer by consumer until the run's end. Where a queue of a consumer is gone, the consumer cannot be
// repaired, which is no failure of the audit: what is missing is on the list, and alarms.
func (r *run) repairAll(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, r.end)
	defer cancel()
	looks := looks{queues: r.queues, found: map[string]*audit.DeadLetters{}}
	for _, c := range r.consumers {
		err := r.repair(ctx, c, looks)
		var gone *types.QueueDoesNotExist
		switch {
		case errors.As(err, &gone):
			r.logger.Error("a consumer cannot be repaired, because one of its queues is gone", "consumer", c.Name, "error", err)
		case ctx.Err() != nil:
			r.logger.Warn("the run ended before all was repaired", "consumer", c.Name, "error", err)
			return
		default:
			r.note(err)
		}
	}
}

// repair sends events again to a consumer that misses them, the oldest first and as many as may be in a run. It sends none
// that waits in a dead-letter queue, and none while the consumer is behind: what is missing may then still come.
func (r *run) repair(ctx context.Context, c *audit.Consumer, looks looks) error {
	if f := r.findings[c.Name]; !f.swept || f.unconfirmed == 0 || c.Queue == "" {
		return nil
	}
	candidates, err := r.candidates(ctx, c)
	if err != nil || len(candidates) == 0 {
		return err
	}
	behind, err := audit.Behind(ctx, r.queues, c)
	if behind || err != nil {
		return err
	}
	chosen, err := r.choose(ctx, c, candidates, looks)
	if err != nil {
		return err
	}
	return r.sendAgain(ctx, c, chosen)
}

// candidates returns the effects that it is time to repair, the oldest first.
func (r *run) candidates(ctx context.Context, c *audit.Consumer) ([]audit.Unconfirmed, error) {
	now := time.Now()
	var all []audit.Unconfirmed
	read := 0
	for u, err := range r.list.Of(ctx, c.Name) {
		if err != nil {
			return nil, err
		}
		if read++; read > sweepsAtMost || !time.Now().Before(r.end) {
			break
		}
		if repairable(u, now) && !r.waiting.knows(u, now) {
			all = append(all, u)
		}
	}
	return all, nil
}

// choose returns those of the candidates that wait in no dead-letter queue, as many as may be sent. To look there hides the
// messages from whoever is about to redrive them, so what is found is remembered for a while.
func (r *run) choose(ctx context.Context, c *audit.Consumer, candidates []audit.Unconfirmed, looks looks) ([]audit.Unconfirmed, error) {
	waiting, complete, err := looks.into(ctx, c.DeadLetterQueue, c.RuleDeadLetterQueue,
		r.settings.Outbox.RuleDeadLetterQueue, r.settings.Outbox.PipeDeadLetterQueue)
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	now := time.Now()
	if err != nil || !complete {
		r.waiting.remember(now, candidates...)
		r.logger.Warn("nothing is repaired: not all dead-letter messages could be seen", "consumer", c.Name, "error", err)
		return nil, nil
	}
	var chosen, found []audit.Unconfirmed
	for _, u := range candidates {
		e := audit.Effect{Event: u.Event, Consumer: c}
		switch {
		case slices.ContainsFunc(waiting, func(d *audit.DeadLetters) bool { _, waits := d.Find(e); return waits }):
			found = append(found, u)
		case len(chosen) < r.repairs:
			chosen = append(chosen, u)
		}
	}
	r.waiting.remember(now, found...)
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

package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// runSchedules sends the events of the rules' schedules until ctx is done. The first of a rate is due one period after
// the begin, or after the rule was enabled. Times that pass while the machine sleeps are skipped.
func (s *Service) runSchedules(ctx context.Context) error {
	for {
		now := s.clock.Now()
		due, next := s.dueRules(now)
		for _, r := range due {
			if err := s.sendScheduled(r, now); err != nil {
				return err
			}
		}
		s.awaitSchedules(ctx, next)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// awaitSchedules waits until the next schedule is due, or never for the zero time, until schedules have changed, or until
// ctx is done.
func (s *Service) awaitSchedules(ctx context.Context, next time.Time) {
	due, cancel := context.WithCancel(ctx)
	defer cancel()
	var sleeping sync.WaitGroup
	defer sleeping.Wait()
	defer cancel()
	if !next.IsZero() {
		sleeping.Go(func() {
			defer cancel()
			_ = s.clock.SleepUntil(due, next)
		})
	}
	select {
	case <-due.Done():
	case <-s.rulesChanged:
	}
}

// dueRules returns the rules that are due now and the next time at which one will be, or the zero time for never.
func (s *Service) dueRules(now time.Time) (due []*rule, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.buses[defaultBus].rules {
		if r.schedule == nil || !r.isEnabled() {
			continue
		}
		if r.next.IsZero() {
			r.next = r.schedule.Next(now)
		}
		if !r.next.IsZero() && !r.next.After(now) {
			due = append(due, r)
			if r.next = r.schedule.Next(r.next); !r.next.After(now) {
				r.next = r.schedule.Next(now)
			}
		}
		if !r.next.IsZero() && (next.IsZero() || r.next.Before(next)) {
			next = r.next
		}
	}
	return due, next
}

// sendScheduled accepts the event of a schedule for the rule's targets.
// Source: EventBridge user guide, eb-run-lambda-schedule, for the event.
func (s *Service) sendScheduled(r *rule, now time.Time) error {
	encoded := encode(event{
		Version: "0", ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.events", Account: cloud.Account,
		Time: now.UTC().Format(time.RFC3339), Region: s.cloud.Region, Resources: []string{r.arn}, Detail: json.RawMessage("{}"),
	})
	var deliveries []*delivery
	for _, t := range r.targets {
		deliveries = append(deliveries, &delivery{RuleARN: r.arn, TargetID: t.id, Event: encoded, AcceptedAt: now, Scheduled: true})
	}
	if err := s.journal.append(deliveries); err != nil {
		return fmt.Errorf("store the event of the schedule of %s in the journal: %w", r.logicalID, err)
	}
	s.dispatcher.dispatch(deliveries)
	return nil
}

// notifyScheduler makes the scheduler look at the rules again.
func (s *Service) notifyScheduler() {
	select {
	case s.rulesChanged <- struct{}{}:
	default:
	}
}

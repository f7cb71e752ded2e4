package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/schedule"
)

// A cadence says when something is due.
type cadence struct {
	schedule schedule.Schedule // nil: never
	next     time.Time         // when it is due; zero: not computed yet, or never again
}

// advance returns when the cadence was due, if it is, and sets the next time. Times that have passed since then, while the
// machine slept, are skipped.
func (c *cadence) advance(now time.Time) (due time.Time, isDue bool) {
	if c.next.IsZero() {
		c.next = c.schedule.Next(now)
	}
	if c.next.IsZero() || c.next.After(now) {
		return time.Time{}, false
	}
	due = c.next
	if c.next = c.schedule.Next(due); !c.next.IsZero() && !c.next.After(now) {
		c.next = c.schedule.Next(now)
	}
	return due, true
}

// runSchedules sends the events of the schedules until ctx is done. The first of a rule's rate is due one period after
// the begin, or after the rule was enabled.
func (s *Service) runSchedules(ctx context.Context) error {
	for {
		deliveries, next := s.due(s.clock.Now())
		if err := s.sendScheduled(deliveries); err != nil {
			return err
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

// due returns the deliveries that are due now and the next time at which some will be, or the zero time for never.
func (s *Service) due(now time.Time) (deliveries []*delivery, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := func(c *cadence, deliver func(due time.Time) []*delivery) {
		if at, isDue := c.advance(now); isDue {
			deliveries = append(deliveries, deliver(at)...)
		}
		if !c.next.IsZero() && (next.IsZero() || c.next.Before(next)) {
			next = c.next
		}
	}
	for _, r := range s.buses[defaultBus].rules {
		if r.schedule != nil && r.isEnabled() {
			look(&r.cadence, func(time.Time) []*delivery { return s.scheduled(r, now) })
		}
	}
	for _, t := range s.timers {
		if t.enabled {
			look(&t.cadence, func(due time.Time) []*delivery { return []*delivery{t.delivery(due, now, s.cloud.Region)} })
		}
	}
	return deliveries, next
}

// scheduled returns the deliveries of the event of a rule's schedule.
// Source: EventBridge user guide, eb-run-lambda-schedule, for the event.
func (s *Service) scheduled(r *rule, now time.Time) (deliveries []*delivery) {
	encoded := encode(event{
		Version: "0", ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.events", Account: cloud.Account,
		Time: now.UTC().Format(time.RFC3339), Region: s.cloud.Region, Resources: []string{r.arn}, Detail: json.RawMessage("{}"),
	})
	for _, t := range r.targets {
		deliveries = append(deliveries, &delivery{RuleARN: r.arn, TargetID: t.id, Event: encoded, AcceptedAt: now, Scheduled: true})
	}
	return deliveries
}

// sendScheduled accepts the deliveries of schedules.
func (s *Service) sendScheduled(deliveries []*delivery) error {
	if err := s.journal.append(deliveries); err != nil {
		return fmt.Errorf("store the events of schedules in the journal: %w", err)
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

package operate

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// send sends what is planned, consumer by consumer.
func (r Repair) send(ctx context.Context, result *RepairResult, total int) error {
	place, err := placeOf(ctx, r.Clients, r.Outbox)
	if err != nil {
		return err
	}
	s := &sending{
		repairer: audit.Repairer{Items: r.Clients.DynamoDB, Queues: r.Clients.SQS, OutboxTable: r.Outbox.Table, Place: place},
		pace:     time.Second / time.Duration(r.Rate),
		progress: r.Dialog.Begin("sent again", total),
	}
	if a := r.Outbox.Audit; a != nil {
		s.list = &audit.List{Client: r.Clients.DynamoDB, Table: a.Table}
	}
	defer func() { s.progress.End(s.done) }()
	for i := range result.Consumers {
		if err := s.consumer(ctx, &result.Consumers[i]); err != nil {
			return err
		}
	}
	return nil
}

// sending is a repair that is under way.
type sending struct {
	repairer audit.Repairer
	list     *audit.List // nil without an audit
	pace     time.Duration

	mu       sync.Mutex
	progress *Progress
	done     int
}

// consumer sends a consumer what it misses. An ordered one gets one event after the other.
func (s *sending) consumer(ctx context.Context, c *ConsumerRepair) error {
	jobs, some := errgroup.WithContext(ctx)
	jobs.SetLimit(repairsAtOnce)
	if c.of.Ordered {
		jobs.SetLimit(1)
	}
	ticks := time.NewTicker(s.pace)
	defer ticks.Stop()
	for _, m := range c.plan {
		select {
		case <-some.Done():
		case <-ticks.C:
		}
		if some.Err() != nil {
			break
		}
		// What has begun is finished: noted and not sent, an event would wait for the audit's next look.
		jobs.Go(func() error { return s.one(context.WithoutCancel(some), c, m) })
	}
	return jobs.Wait()
}

// one sends one event to one consumer.
func (s *sending) one(ctx context.Context, c *ConsumerRepair, m MissingEffect) error {
	mine, err := s.note(ctx, m)
	if err != nil || !mine {
		return err
	}
	err = s.repairer.Send(ctx, m.effect)
	expired := errors.Is(err, audit.ErrExpired)
	if err != nil && !expired {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done++; expired {
		c.Expired++
	} else {
		c.Sent++
	}
	s.progress.At(s.done)
	return nil
}

// note notes on the auditor's list that the event is sent again, where it is on it, and reports whether it is ours to send:
// the auditor, or somebody else, may be about to.
func (s *sending) note(ctx context.Context, m MissingEffect) (bool, error) {
	if s.list == nil {
		return true, nil
	}
	if m.listed == nil {
		u, ok, err := s.list.Find(ctx, m.effect.Consumer.Name, m.effect.Event)
		if err != nil || !ok {
			return err == nil, err
		}
		m.listed = &u
	}
	return s.list.NoteRepair(ctx, *m.listed, time.Now())
}

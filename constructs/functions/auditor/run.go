package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/emf"
)

const (
	// runsFor is how long a run works at most: less than the schedule's minute, so that two runs do not work side by side.
	runsFor = 50 * time.Second
	// reserve is the time before the function's end in which nothing new is begun.
	reserve = 10 * time.Second
)

// A run is one invocation by the schedule. It may end at any moment: what is not done, the next one does.
type run struct {
	*auditor
	settings      audit.Settings
	consumers     audit.Consumers
	list          audit.List
	place         audit.Place
	retention     time.Duration // of events in the outbox table
	repairs       int           // most events sent again to one consumer; 0: none
	began, end    time.Time
	findings      map[string]*findings // by the consumer's name
	confirmWithin time.Duration
	problems      []error
}

// run looks for the effects that are due, looks again for those that are missing, emits metrics, and repairs where that is
// asked for. It does what it can: the error says what it could not.
func (a *auditor) run(ctx context.Context, place audit.Place) error {
	settings, consumers, unusable, err := a.catalog.load(ctx)
	if err != nil {
		return err
	}
	r := run{auditor: a, settings: settings, consumers: consumers, place: place, findings: map[string]*findings{}, problems: unusable}
	if err := r.read(settings.Outbox); err != nil {
		return err
	}
	r.began = time.Now()
	r.end = r.began.Add(runsFor)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-reserve).Before(r.end) {
		r.end = deadline.Add(-reserve)
	}
	for _, c := range consumers {
		r.findings[c.Name] = &findings{}
	}
	// The pending queue gets half of the time at most, so that a flood of events does not keep the rest from being done.
	r.note(r.drain(ctx, r.share(1, 2)))
	for i, c := range consumers {
		// From half of the time on to four fifths: the rest is for repairs.
		r.note(r.sweep(ctx, c, r.share(5*len(consumers)+3*(i+1), 10*len(consumers))))
	}
	r.report() // before the repairs, whose failure says nothing about what is missing
	if r.repairs > 0 {
		r.repairAll(ctx)
	}
	if len(r.problems) == 0 {
		r.emit(r.settings.Outbox, emf.Metric{Name: audit.MetricAuditRuns, Unit: emf.Count, Values: []int64{1}})
	}
	return errors.Join(r.problems...)
}

// read reads what the description of the outbox says about the audit.
func (r *run) read(outbox description.Outbox) (err error) {
	if r.confirmWithin, err = confirmWithin(outbox); err != nil {
		return err
	}
	if r.retention, err = description.Seconds(outbox.EventRetentionSeconds); err != nil {
		return err
	}
	if text := outbox.Audit.RepairPerMinute; text != "" {
		if r.repairs, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("the most repairs a minute must be a whole number, got %q", text)
		}
	}
	r.list = audit.List{Client: r.tables, Table: outbox.Audit.Table}
	return nil
}

// share returns when a share of the run's time is over.
func (r *run) share(n, of int) time.Time {
	return r.began.Add(r.end.Sub(r.began) * time.Duration(n) / time.Duration(of))
}

func (r *run) note(err error) {
	if err != nil {
		r.problems = append(r.problems, err)
	}
}

// report emits what was found of each consumer.
func (r *run) report() {
	now := time.Now()
	for _, c := range r.consumers {
		r.emitFor(r.settings.Outbox, c.Name, r.findings[c.Name].metrics(now)...)
	}
}

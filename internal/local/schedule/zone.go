package schedule

import (
	"fmt"
	"regexp"
	"time"
	_ "time/tzdata" // a machine need not have the time zones
)

// ParseIn parses an expression of EventBridge Scheduler, whose crons and one-time schedules are in a time zone:
// rate(value unit), cron(six fields) and at(yyyy-mm-ddThh:mm:ss). A rate may have its unit in either number.
// Source: EventBridge Scheduler user guide, schedule-types.
func ParseIn(expression string, zone *time.Location) (Schedule, error) {
	if m := atSyntax.FindStringSubmatch(expression); m != nil {
		wall, err := time.Parse("2006-01-02T15:04:05", m[1])
		if err != nil {
			return nil, fmt.Errorf("at must have a date and time as in at(2026-11-27T08:00:00), got %q", expression)
		}
		at, found := instant(wall, zone)
		if !found {
			return nil, fmt.Errorf("at must have a time that the clocks of %s show, got %q, at which they are set forward", zone, expression)
		}
		return once(at), nil
	}
	if m := cronSyntax.FindStringSubmatch(expression); m != nil {
		c, err := parseCron(m[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", expression, err)
		}
		return zoned{c, zone}, nil
	}
	if m := rateSyntax.FindStringSubmatch(expression); m != nil {
		return parsePeriod(expression, m[1], m[2])
	}
	return nil, fmt.Errorf("a schedule must be rate(value unit), cron(minutes hours day-of-month month day-of-week year) or at(yyyy-mm-ddThh:mm:ss), got %q", expression)
}

var atSyntax = regexp.MustCompile(`^at\((.*)\)$`)

// once is due one time.
type once time.Time

// Next implements Schedule.
func (o once) Next(after time.Time) time.Time {
	if at := time.Time(o); at.After(after) {
		return at
	}
	return time.Time{}
}

// IsOnce reports whether a schedule is due one time only.
func IsOnce(s Schedule) bool {
	_, ok := s.(once)
	return ok
}

// Anchored returns a rate that is due at start, and then once in a period.
func Anchored(start time.Time, r Rate) Schedule { return anchored{start, time.Duration(r)} }

type anchored struct {
	start  time.Time
	period time.Duration
}

// Next implements Schedule.
func (a anchored) Next(after time.Time) time.Time {
	if after.Before(a.start) {
		return a.start
	}
	return a.start.Add((after.Sub(a.start)/a.period + 1) * a.period)
}

// Between returns a schedule that is due neither before start nor after end. A zero time is no bound.
func Between(s Schedule, start, end time.Time) Schedule { return between{s, start, end} }

type between struct {
	Schedule
	start, end time.Time
}

// Next implements Schedule.
func (b between) Next(after time.Time) time.Time {
	if !b.start.IsZero() && after.Before(b.start) {
		after = b.start.Add(-time.Nanosecond) // the start itself is inside
	}
	next := b.Schedule.Next(after)
	if !b.end.IsZero() && next.After(b.end) {
		return time.Time{}
	}
	return next
}

// A zoned is a cron by the clocks of a time zone. A time that they skip is not due, and of a time that they show twice only
// the first is.
// Source: EventBridge Scheduler user guide, schedule-types, "Daylight savings time on EventBridge Scheduler".
type zoned struct {
	cron *cron
	zone *time.Location
}

// Next implements Schedule.
func (z zoned) Next(after time.Time) time.Time {
	local := after.In(z.zone)
	_, offset := local.Zone()
	// The clocks' time as if it were UTC, in which the cron counts.
	wall := after.UTC().Add(time.Duration(offset) * time.Second)
	for {
		if wall = z.cron.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at, found := instant(wall, z.zone); found && at.After(after) {
			return at
		}
	}
}

// instant returns the first time at which the clocks of a zone show what wall shows in UTC, and whether there is one.
func instant(wall time.Time, zone *time.Location) (time.Time, bool) {
	// Clocks are never set twice within two days.
	for _, near := range []time.Time{wall.Add(-24 * time.Hour), wall.Add(24 * time.Hour)} {
		_, offset := near.In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, shown := at.In(zone).Zone(); shown == offset {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

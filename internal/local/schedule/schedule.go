// Package schedule computes when schedule expressions are due: those of EventBridge rules, rate(value unit) and
// cron(six fields), in UTC, and those of EventBridge Scheduler, which also have at(time) and time zones.
//
//	s, err := schedule.Parse("rate(5 minutes)")
//	next := s.Next(time.Now())
package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// A Schedule knows when it is due.
type Schedule interface {
	// Next returns the first time after the given one at which the schedule is due, or the zero time when there is
	// none. A rate counts from the given time.
	Next(after time.Time) time.Time
}

// A Rate is due once in a period.
type Rate time.Duration

// Next implements Schedule.
func (r Rate) Next(after time.Time) time.Time { return after.Add(time.Duration(r)) }

var (
	rateSyntax = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)(s?)\)$`)
	cronSyntax = regexp.MustCompile(`^cron\((.*)\)$`)
)

var units = map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// Parse parses an expression.
// Source: EventBridge user guide, eb-scheduled-rule-pattern.
func Parse(expression string) (Schedule, error) {
	if m := rateSyntax.FindStringSubmatch(expression); m != nil {
		return parseRate(expression, m[1], m[2], m[3])
	}
	if m := cronSyntax.FindStringSubmatch(expression); m != nil {
		c, err := parseCron(m[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", expression, err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("a schedule must be rate(value unit) or cron(minutes hours day-of-month month day-of-week year), got %q", expression)
}

// parseRate parses a rate, whose unit has the number of its value.
func parseRate(expression, value, unit, plural string) (Schedule, error) {
	rate, err := parsePeriod(expression, value, unit)
	if err == nil && (rate == Rate(units[unit])) != (plural == "") {
		return nil, fmt.Errorf("the unit of a rate must be singular for 1 and plural for more, got %q", expression)
	}
	return rate, err
}

func parsePeriod(expression, value, unit string) (Schedule, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || time.Duration(n) > time.Duration(1<<63-1)/units[unit] {
		return nil, fmt.Errorf("the value of a rate must be a positive number, got %q", expression)
	}
	return Rate(time.Duration(n) * units[unit]), nil
}

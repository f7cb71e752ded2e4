package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A set holds the values that a field matches.
type set map[int]bool

// A field is one field of a cron expression.
type field struct {
	name        string
	least, most int
	names       []string // of the values from least on; may be nil
}

// parse parses a list of values, ranges, * and increments.
func (f field) parse(text string) (set, error) {
	found := set{}
	for _, item := range strings.Split(text, ",") {
		from, to, step, err := f.item(item)
		if err != nil {
			return nil, err
		}
		for value := from; value <= to; value += step {
			found[value] = true
		}
	}
	return found, nil
}

// item parses one item of a list: *, a value or a range, with or without an increment.
func (f field) item(text string) (from, to, step int, err error) {
	span, increment, stepped := strings.Cut(text, "/")
	step = 1
	if stepped {
		if step, err = strconv.Atoi(increment); err != nil || step < 1 {
			return 0, 0, 0, f.refuse("an increment must be a whole number from 1, got %q", text)
		}
	}
	if span == "*" {
		return f.least, f.most, step, nil
	}
	first, last, ranged := strings.Cut(span, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, 0, err
	}
	switch {
	case ranged:
		if to, err = f.value(last); err != nil {
			return 0, 0, 0, err
		}
		if to < from {
			return 0, 0, 0, f.refuse("a range must not end before it begins, got %q", text)
		}
	case stepped:
		to = f.most
	default:
		to = from
	}
	return from, to, step, nil
}

// value parses one value or name.
func (f field) value(text string) (int, error) {
	if at := slices.Index(f.names, text); at >= 0 {
		return f.least + at, nil
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < f.least || value > f.most {
		return 0, f.refuse("a value must be from %d to %d, got %q", f.least, f.most, text)
	}
	return value, nil
}

func (f field) refuse(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{f.name}, args...)...)
}

// parseDayOfMonth parses the day-of-month field: values, L for the last day, nW for the weekday closest to a day, and
// LW for the last weekday.
func parseDayOfMonth(text string) (func(time.Time) bool, error) {
	if text == "L" {
		return func(date time.Time) bool { return date.Day() == lastDay(date) }, nil
	}
	if day, found := strings.CutSuffix(text, "W"); found {
		if day == "L" {
			return func(date time.Time) bool { return date.Day() == closestWeekday(date, lastDay(date)) }, nil
		}
		value, err := dayField.value(day)
		return func(date time.Time) bool { return value <= lastDay(date) && date.Day() == closestWeekday(date, value) }, err
	}
	days, err := dayField.parse(text)
	return func(date time.Time) bool { return days[date.Day()] }, err
}

// parseWeekday parses the day-of-week field: values, L for the last day of the week, nL for the last such day of the
// month, and n#m for the mth such day of the month.
func parseWeekday(text string) (func(time.Time) bool, error) {
	if text == "L" {
		text = "7"
	}
	if day, found := strings.CutSuffix(text, "L"); found {
		value, err := weekdayField.value(day)
		return func(date time.Time) bool { return weekday(date) == value && date.Day() > lastDay(date)-7 }, err
	}
	if day, nth, found := strings.Cut(text, "#"); found {
		value, err := weekdayField.value(day)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(nth)
		if err != nil || n < 1 || n > 5 {
			return nil, weekdayField.refuse("# must stand between one day and a number from 1 to 5, got %q", text)
		}
		return func(date time.Time) bool { return weekday(date) == value && (date.Day()-1)/7 == n-1 }, nil
	}
	days, err := weekdayField.parse(text)
	return func(date time.Time) bool { return days[weekday(date)] }, err
}

// weekday returns the day of the week as the expressions count them: 1 is Sunday.
func weekday(date time.Time) int { return int(date.Weekday()) + 1 }

// lastDay returns the number of days in the month.
func lastDay(date time.Time) int {
	return time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// closestWeekday returns the day from Monday to Friday that is closest to a day, in the same month.
func closestWeekday(date time.Time, day int) int {
	switch time.Date(date.Year(), date.Month(), day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == lastDay(date) {
			return day - 2
		}
		return day + 1
	default:
		return day
	}
}

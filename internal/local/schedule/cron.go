package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A cron is due in every minute that all of its fields match.
type cron struct {
	minutes, hours, months, years set
	day                           func(date time.Time) bool
}

// lastYear is the last year of the year field.
const lastYear = 2199

// The fields of an expression, in their order.
var (
	minutesField = field{name: "minutes", least: 0, most: 59}
	hoursField   = field{name: "hours", least: 0, most: 23}
	dayField     = field{name: "day-of-month", least: 1, most: 31}
	monthField   = field{name: "month", least: 1, most: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekdayField = field{name: "day-of-week", least: 1, most: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	yearField    = field{name: "year", least: 1970, most: lastYear}
)

// parseCron parses the six fields. Its error names everything that is wrong with them.
func parseCron(text string) (*cron, error) {
	fields := strings.Fields(strings.ToUpper(text))
	if len(fields) != 6 {
		return nil, fmt.Errorf("cron must have 6 fields, got %d", len(fields))
	}
	var c cron
	var problems []error
	parse := func(into *set, f field, text string) {
		var err error
		if *into, err = f.parse(text); err != nil {
			problems = append(problems, err)
		}
	}
	parse(&c.minutes, minutesField, fields[0])
	parse(&c.hours, hoursField, fields[1])
	parse(&c.months, monthField, fields[3])
	parse(&c.years, yearField, fields[5])
	var err error
	switch dayOfMonth, weekday := fields[2], fields[4]; {
	case (dayOfMonth == "?") == (weekday == "?"):
		err = fmt.Errorf("exactly one of day-of-month and day-of-week must be ?, got %s and %s", dayOfMonth, weekday)
	case weekday == "?":
		c.day, err = parseDayOfMonth(dayOfMonth)
	default:
		c.day, err = parseWeekday(weekday)
	}
	return &c, errors.Join(append(problems, err)...)
}

// Next implements Schedule.
func (c *cron) Next(after time.Time) time.Time {
	t := after.UTC().Truncate(time.Minute).Add(time.Minute)
	for t.Year() <= lastYear {
		year, month, day := t.Date()
		switch {
		case !c.years[year]:
			t = time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC)
		case !c.months[int(month)]:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.day(t):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case !c.hours[t.Hour()]:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !c.minutes[t.Minute()]:
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

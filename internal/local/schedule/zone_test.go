package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// due returns the next times at which a schedule is due.
func due(s Schedule, after string, n int) (times []string) {
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		panic(err)
	}
	for range n {
		if at = s.Next(at); at.IsZero() {
			return append(times, "never")
		}
		times = append(times, at.UTC().Format("2006-01-02T15:04"))
	}
	return times
}

func TestParseIn(t *testing.T) {
	for name, c := range map[string]struct {
		expression, zone, after string
		want                    []string
	}{
		"UTC":                     {"cron(0 8 * * ? *)", "UTC", "2026-03-28T07:00:00Z", []string{"2026-03-28T08:00", "2026-03-29T08:00"}},
		"summer time begins":      {"cron(0 8 * * ? *)", "Europe/Berlin", "2026-03-27T12:00:00Z", []string{"2026-03-28T07:00", "2026-03-29T06:00"}},
		"a time that is skipped":  {"cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-27T12:00:00Z", []string{"2026-03-28T01:30", "2026-03-30T00:30"}},
		"a time that comes twice": {"cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30", "2026-10-26T01:30"}},
		"between the two":         {"cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T01:10:00Z", []string{"2026-10-26T01:30"}},
		"every hour, twice":       {"cron(0 * * * ? *)", "Europe/Berlin", "2026-10-24T23:30:00Z", []string{"2026-10-25T00:00", "2026-10-25T02:00"}},
		"half an hour":            {"cron(30 2 * * ? *)", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", []string{"2026-04-04T16:00"}},
		"new york":                {"cron(0 9 ? * MON-FRI *)", "America/New_York", "2026-11-27T12:00:00Z", []string{"2026-11-27T14:00", "2026-11-30T14:00"}},
		"once":                    {"at(2026-11-27T08:00:00)", "Europe/Berlin", "2026-11-27T06:00:00Z", []string{"2026-11-27T07:00", "never"}},
		"too late":                {"at(2026-11-27T08:00:00)", "UTC", "2026-11-27T08:00:00Z", []string{"never"}},
		"a rate":                  {"rate(1 minutes)", "UTC", "2026-11-27T08:00:00Z", []string{"2026-11-27T08:01"}},
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseIn(c.expression, zone)
			if err != nil {
				t.Fatal(err)
			}
			if got := due(s, c.after, len(c.want)); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestParseInRefuses(t *testing.T) {
	zone, _ := time.LoadLocation("Europe/Berlin")
	for expression, want := range map[string]string{
		"at(tomorrow)":            "at must have a date and time",
		"at(2026-03-29T02:30:00)": "at which they are set forward",
		"rate(0 minutes)":         "must be a positive number",
		"cron(1 2)":               "cron must have 6 fields",
		"every day":               "a schedule must be rate(value unit), cron(",
	} {
		if _, err := ParseIn(expression, zone); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
	}
}

func TestBounds(t *testing.T) {
	day := func(hour int) time.Time { return time.Date(2026, 11, 27, hour, 0, 0, 0, time.UTC) }
	hourly := Anchored(day(8), Rate(time.Hour))
	for name, c := range map[string]struct {
		s    Schedule
		want []string
	}{
		"anchored":    {hourly, []string{"2026-11-27T08:00", "2026-11-27T09:00"}},
		"with an end": {Between(hourly, time.Time{}, day(9)), []string{"2026-11-27T08:00", "2026-11-27T09:00", "never"}},
		"both":        {Between(hourly, day(9), day(9)), []string{"2026-11-27T09:00", "never"}},
	} {
		if got := due(c.s, "2026-11-27T05:30:00Z", len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

package schedule

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The expressions of AWS's page eb-scheduled-rule-pattern, and one for each wildcard. Each case holds the next times
// after the first. 2026-11-27 is a Friday.
func TestNext(t *testing.T) {
	for expression, times := range map[string][]string{
		"rate(1 minute)":                 {"2026-11-27 08:00:30", "2026-11-27 08:01:30", "2026-11-27 08:02:30"},
		"rate(5 minutes)":                {"2026-11-27 08:00:00", "2026-11-27 08:05:00"},
		"rate(1 hour)":                   {"2026-11-27 08:00:00", "2026-11-27 09:00:00"},
		"rate(7 days)":                   {"2026-11-27 08:00:00", "2026-12-04 08:00:00"},
		"cron(0 10 * * ? *)":             {"2026-11-27 10:00:00", "2026-11-28 10:00:00", "2026-11-29 10:00:00"},
		"cron(15 12 * * ? *)":            {"2026-11-27 12:14:59", "2026-11-27 12:15:00", "2026-11-28 12:15:00"},
		"cron(0 18 ? * MON-FRI *)":       {"2026-11-27 17:00:00", "2026-11-27 18:00:00", "2026-11-30 18:00:00"},
		"cron(0 8 1 * ? *)":              {"2026-11-27 08:00:00", "2026-12-01 08:00:00", "2027-01-01 08:00:00"},
		"cron(0/15 * * * ? *)":           {"2026-11-27 08:01:00", "2026-11-27 08:15:00", "2026-11-27 08:30:00", "2026-11-27 08:45:00", "2026-11-27 09:00:00"},
		"cron(0/10 * ? * MON-FRI *)":     {"2026-11-27 23:45:00", "2026-11-27 23:50:00", "2026-11-30 00:00:00"},
		"cron(0/5 8-17 ? * MON-FRI *)":   {"2026-11-27 17:50:00", "2026-11-27 17:55:00", "2026-11-30 08:00:00"},
		"cron(0/30 20-23 ? * MON-FRI *)": {"2026-11-27 23:00:00", "2026-11-27 23:30:00", "2026-11-30 20:00:00"},
		"cron(0/30 0-2 ? * MON-FRI *)":   {"2026-11-27 02:15:00", "2026-11-27 02:30:00", "2026-11-30 00:00:00"},
		"cron(0 0 L * ? *)":              {"2027-02-01 00:00:00", "2027-02-28 00:00:00", "2027-03-31 00:00:00"},
		"cron(0 0 LW * ? *)":             {"2027-01-31 00:00:00", "2027-02-26 00:00:00"},
		"cron(0 0 3W * ? *)":             {"2026-10-01 00:00:00", "2026-10-02 00:00:00", "2026-11-03 00:00:00"},
		"cron(0 0 1W 8 ? *)":             {"2026-01-01 00:00:00", "2026-08-03 00:00:00"}, // August begins with a Saturday
		"cron(0 0 31W 1 ? *)":            {"2027-01-01 00:00:00", "2027-01-29 00:00:00"}, // January ends with a Sunday
		"cron(0 0 30W 2 ? 2027-2028)":    {"2027-01-01 00:00:00", ""},
		"cron(0 0 ? * L *)":              {"2026-11-27 00:00:00", "2026-11-28 00:00:00", "2026-12-05 00:00:00"},
		"cron(15 10 ? * 6L 2026-2027)":   {"2026-11-27 10:15:00", "2026-12-25 10:15:00", "2027-01-29 10:15:00"},
		"cron(0 9 ? * 3#2 *)":            {"2026-11-27 00:00:00", "2026-12-08 09:00:00", "2027-01-12 09:00:00"},
		"cron(0 9 ? * TUE#5 *)":          {"2026-11-27 00:00:00", "2026-12-29 09:00:00", "2027-03-30 09:00:00"},
		"cron(5,35 14 * * ? *)":          {"2026-11-27 14:10:00", "2026-11-27 14:35:00", "2026-11-28 14:05:00"},
		"cron(1/10 10 1-15 jan,DEC ? *)": {"2026-11-27 00:00:00", "2026-12-01 10:01:00", "2026-12-01 10:11:00"},
		"cron(0 0 29 2 ? *)":             {"2026-11-27 00:00:00", "2028-02-29 00:00:00", "2032-02-29 00:00:00"},
		"cron(0 0 1 1 ? 2020)":           {"2026-11-27 00:00:00", ""},
		"cron(10-20/5 * * * ? *)":        {"2026-11-27 08:00:00", "2026-11-27 08:10:00", "2026-11-27 08:15:00", "2026-11-27 08:20:00", "2026-11-27 09:10:00"},
		"cron(* * * * ? 2199)":           {"2199-12-31 23:58:30", "2199-12-31 23:59:00", ""},
		"cron(0 12 ? * 1,7 *)":           {"2026-11-27 00:00:00", "2026-11-28 12:00:00", "2026-11-29 12:00:00"},
	} {
		t.Run(expression, func(t *testing.T) {
			s, err := Parse(expression)
			if err != nil {
				t.Fatal(err)
			}
			now := at(t, times[0])
			for _, want := range times[1:] {
				next := s.Next(now)
				if want == "" {
					if !next.IsZero() {
						t.Errorf("after %v: %v, want never", now, next)
					}
					break
				}
				if !next.Equal(at(t, want)) {
					t.Fatalf("after %v: %v, want %s", now, next, want)
				}
				now = next
			}
		})
	}
}

// A cron is UTC, wherever the machine is.
func TestUTC(t *testing.T) {
	s, err := Parse("cron(0 10 * * ? *)")
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("", 5*3600)
	if next := s.Next(time.Date(2026, 11, 27, 14, 0, 0, 0, zone)); !next.Equal(at(t, "2026-11-27 10:00:00")) {
		t.Errorf("got %v", next)
	}
}

func TestRefused(t *testing.T) {
	for expression, want := range map[string]string{
		"":                          "must be rate(value unit) or cron(",
		"every minute":              "must be rate(value unit) or cron(",
		"at(2026-11-27T00:00:00)":   "must be rate(value unit) or cron(",
		"rate(5 seconds)":           "must be rate(value unit) or cron(",
		"rate(1.5 hours)":           "must be rate(value unit) or cron(",
		"rate(0 minutes)":           "positive number",
		"rate(99999999999999 days)": "positive number",
		"rate(1 minutes)":           "singular for 1",
		"rate(5 minute)":            "plural for more",
		"cron(0 10 * * ?)":          "6 fields, got 5",
		"cron(0 10 * * * *)":        "exactly one of day-of-month and day-of-week must be ?",
		"cron(0 10 ? * ? *)":        "exactly one of day-of-month and day-of-week must be ?",
		"cron(60 10 * * ? *)":       `minutes: a value must be from 0 to 59, got "60"`,
		"cron(0 24 * * ? *)":        "hours",
		"cron(0 0 32 * ? *)":        "day-of-month",
		"cron(0 0 * 13 ? *)":        "month",
		"cron(0 0 ? * 0 *)":         "day-of-week",
		"cron(0 0 * * ? 1969)":      "year",
		"cron(0 0 ? * 3#1,6#3 *)":   "# must stand between one day",
		"cron(0 0 ? * 3#6 *)":       "number from 1 to 5",
		"cron(0/0 0 * * ? *)":       "increment",
		"cron(30-10 0 * * ? *)":     "must not end before it begins",
		"cron(? 0 * * ? *)":         "minutes",
		"cron(0 0 ? * FOO *)":       "day-of-week",
		"cron(61 25 0W * ? *)":      "hours: a value",
	} {
		if _, err := Parse(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", expression, err, want)
		}
	}
}

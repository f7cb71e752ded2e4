package metrics

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A clock is the store's time in a test.
type clock struct{ at time.Time }

func newStore() (*Store, *clock) {
	s, c := New(), &clock{time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	s.now = func() time.Time { return c.at }
	return s, c
}

// The cases follow CloudWatch's user guide, alarms-and-missing-data, for alarms of three of three and of two of three
// datapoints. The newest point is at the right.
func TestMissingData(t *testing.T) {
	for _, c := range []struct {
		points                                   string
		datapoints                               template.Int
		missing, ignore, breaching, notBreaching string
	}{
		{"0 - - - -", 3, OK, OK, OK, OK},
		{"- - - - -", 3, InsufficientData, "kept", Alarm, OK},
		{"0 X X - X", 3, Alarm, Alarm, Alarm, Alarm},
		{"- - X - -", 3, Alarm, "kept", Alarm, OK},
		{"0 0 X - X", 2, Alarm, Alarm, Alarm, Alarm},
		{"- - - - X", 2, OK, "kept", Alarm, OK},
	} {
		for treatment, want := range map[string]string{"missing": c.missing, "ignore": c.ignore, "breaching": c.breaching, "notBreaching": c.notBreaching, "": c.missing} {
			a := &alarm{Properties: Properties{EvaluationPeriods: 3, DatapointsToAlarm: &c.datapoints, TreatMissingData: treatment, Threshold: "1"}, state: "kept"}
			var points []point
			for _, p := range strings.Fields(c.points) {
				points = append([]point{map[string]point{"0": good, "X": breaching, "-": missing}[p]}, points...)
			}
			if got, reason := a.decide(points, 100); got != want || reason == "" {
				t.Errorf("%s, %d of 3, %q: %s (%s), want %s", c.points, c.datapoints, treatment, got, reason, want)
			}
		}
	}
}

func provision(t *testing.T, s *Store, properties map[string]any) error {
	t.Helper()
	_, err := s.ProvisionAlarm(cloud.New("eu-west-1"))(t.Context(), template.Resource{LogicalID: "A", PhysicalName: "S-A", Properties: properties})
	return err
}

func of(changes map[string]any) map[string]any {
	properties := map[string]any{
		"Namespace": "N", "MetricName": "M", "Dimensions": []any{map[string]any{"Name": "D", "Value": "v"}},
		"Period": 60, "EvaluationPeriods": 5, "Statistic": "SampleCount", "Threshold": json.Number("1"),
		"ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching",
	}
	for name, value := range changes {
		properties[name] = value
		if value == nil {
			delete(properties, name)
		}
	}
	return properties
}

// A heartbeat that is missing is an alarm, and the first minutes of a run are none.
func TestMissingHeartbeat(t *testing.T) {
	s, now := newStore()
	if err := provision(t, s, of(nil)); err != nil {
		t.Fatal(err)
	}
	state := func() string { return s.Alarms()[0].State }
	metric := Metric{"N", "M", []Dimension{{"D", "v"}}}
	now.at = now.at.Add(30 * time.Second)
	if got := state(); got != InsufficientData {
		t.Errorf("at the start: %s", got)
	}
	for range 5 {
		s.Put(metric, "Milliseconds", now.at, 120)
		now.at = now.at.Add(time.Minute)
		if got := state(); got != OK {
			t.Errorf("with a heartbeat: %s", got)
		}
	}
	changed := s.Alarms()[0].Changed
	now.at = now.at.Add(7 * time.Minute)
	if got := state(); got != Alarm {
		t.Errorf("without one for seven minutes: %s, %s", got, s.Alarms()[0].Reason)
	}
	if a := s.Alarms()[0]; !a.Changed.After(changed) {
		t.Error("the alarm does not know when it changed")
	}
	s.Put(metric, "Milliseconds", now.at, 120)
	if got := state(); got != OK {
		t.Errorf("with a heartbeat again: %s", got)
	}
}

func TestANewAlarmOfNothingAlarmsInTime(t *testing.T) {
	s, now := newStore()
	if err := provision(t, s, of(nil)); err != nil {
		t.Fatal(err)
	}
	now.at = now.at.Add(4*time.Minute + 59*time.Second)
	if got := s.Alarms()[0].State; got != InsufficientData {
		t.Errorf("before five periods: %s", got)
	}
	now.at = now.at.Add(time.Second)
	if got := s.Alarms()[0].State; got != Alarm {
		t.Errorf("after five periods: %s", got)
	}
}

func TestThresholds(t *testing.T) {
	for operator, want := range map[string][3]string{ // for 0, 1 and 2 and a threshold of 1
		"GreaterThanOrEqualToThreshold": {OK, Alarm, Alarm},
		"GreaterThanThreshold":          {OK, OK, Alarm},
		"LessThanThreshold":             {Alarm, OK, OK},
		"LessThanOrEqualToThreshold":    {Alarm, Alarm, OK},
	} {
		for value, want := range want {
			s, now := newStore()
			if err := provision(t, s, of(map[string]any{"ComparisonOperator": operator, "Statistic": "Maximum", "EvaluationPeriods": "1"})); err != nil {
				t.Fatal(err)
			}
			s.Put(Metric{"N", "M", []Dimension{{"D", "v"}}}, "", now.at, float64(value))
			if got := s.Alarms()[0]; got.State != want {
				t.Errorf("%d %s 1: %s, want %s (%s)", value, operator, got.State, want, got.Reason)
			}
		}
	}
}

// What the local run cannot evaluate has a state that says so, and no made-up one.
func TestUnevaluatedAlarms(t *testing.T) {
	for reason, changes := range map[string]map[string]any{
		"expressions: IF(a > 0, 1, 0)": {"MetricName": nil, "Metrics": []any{map[string]any{"Id": "e", "Expression": "IF(a > 0, 1, 0)"}}},
		"the statistic p99":            {"Statistic": nil, "ExtendedStatistic": "p99"},
		"anomaly detection":            {"ThresholdMetricId": "ad1"},
	} {
		s, _ := newStore()
		if err := provision(t, s, of(changes)); err != nil {
			t.Fatal(err)
		}
		if a := s.Alarms()[0]; a.State != InsufficientData || !strings.Contains(a.Reason, reason) {
			t.Errorf("%s: %s", a.State, a.Reason)
		}
	}
	s, now := newStore()
	single := of(map[string]any{
		"Namespace": nil, "MetricName": nil, "Dimensions": nil, "Statistic": nil, "Period": nil,
		"TreatMissingData": "notBreaching", "ComparisonOperator": "GreaterThanThreshold", "Metrics": []any{map[string]any{
			"Id": "m", "MetricStat": map[string]any{"Metric": map[string]any{"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
		}},
	})
	if err := provision(t, s, single); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.Put(Metric{Namespace: "N", Name: "M"}, "", now.at.Add(-time.Duration(i)*time.Minute), 2)
	}
	if a := s.Alarms()[0]; a.State != Alarm {
		t.Errorf("one metric in the form of several: %s (%s)", a.State, a.Reason)
	}
}

func TestAlarmIsValidated(t *testing.T) {
	s, _ := newStore()
	for want, changes := range map[string]map[string]any{
		"EvaluationPeriods":  {"EvaluationPeriods": 0},
		"DatapointsToAlarm":  {"DatapointsToAlarm": 6},
		"TreatMissingData":   {"TreatMissingData": "maybe"},
		"Period":             {"Period": 7},
		"ComparisonOperator": {"ComparisonOperator": "LessThanLowerThreshold"},
		"Threshold":          {"Threshold": nil},
		"Surprise":           {"Surprise": 1},
		"must not have a function in the local run": {"AlarmActions": []any{"arn:aws:sns:eu-west-1:000000000000:T", "arn:aws:lambda:eu-west-1:000000000000:function:F"}},
	} {
		if err := provision(t, s, of(changes)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// What is kept is too little for an alarm over a day: it says so, and does not look as if all was well.
func TestAnAlarmOverMoreThanIsKept(t *testing.T) {
	for periods, want := range map[int]string{6: "", 7: "the local run keeps metrics for 6h0m0s, and the alarm looks at 7h0m0s"} {
		s, _ := newStore()
		if err := provision(t, s, of(map[string]any{"Period": 3600, "EvaluationPeriods": periods, "DatapointsToAlarm": 1})); err != nil {
			t.Fatal(err)
		}
		if a := s.Alarms()[0]; want != "" && (a.Reason != want || a.State != InsufficientData) || want == "" && strings.Contains(a.Reason, "keeps metrics") {
			t.Errorf("%d hours: %s (%s)", periods, a.State, a.Reason)
		}
	}
}

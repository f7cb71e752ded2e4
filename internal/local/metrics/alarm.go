package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The states of an alarm.
const (
	OK               = "OK"
	Alarm            = "ALARM"
	InsufficientData = "INSUFFICIENT_DATA"
)

// Properties are those of AWS::CloudWatch::Alarm.
type Properties struct {
	AlarmName, AlarmDescription string
	ActionsEnabled              *template.Bool
	AlarmActions                []string
	OKActions                   []string
	InsufficientDataActions     []string
	ComparisonOperator          string
	DatapointsToAlarm           *template.Int
	Dimensions                  []Dimension
	EvaluationPeriods           template.Int
	ExtendedStatistic           string
	MetricName                  string
	Metrics                     []MetricQuery
	Namespace                   string
	Period                      template.Int // seconds
	Statistic                   string
	Threshold                   json.Number
	ThresholdMetricId           string
	TreatMissingData            string

	EvaluateLowSampleCountPercentile template.Ignored // of percentiles
	Tags                             template.Ignored
	Unit                             template.Ignored // a metric has one unit here
}

// A MetricQuery is one of several metrics or expressions of an alarm.
type MetricQuery struct {
	Id, Expression, Label string
	ReturnData            *template.Bool
	Period                template.Int
	AccountId             string
	MetricStat            *struct {
		Metric struct {
			Namespace, MetricName string
			Dimensions            []Dimension
		}
		Period     template.Int
		Stat, Unit string
	}
}

// An alarm is an alarm of the stack.
type alarm struct {
	Properties
	logicalID string
	arn       string
	created   time.Time
	metric    Metric
	period    time.Duration
	threshold float64
	// unevaluated is why the alarm is not evaluated, or empty.
	unevaluated string

	// What it came to last; evaluating of the store guards it.
	state   string
	changed time.Time
}

// comparisons holds the operators by which a value breaches the threshold.
var comparisons = map[string]func(value, threshold float64) bool{
	"GreaterThanOrEqualToThreshold": func(v, t float64) bool { return v >= t },
	"GreaterThanThreshold":          func(v, t float64) bool { return v > t },
	"LessThanThreshold":             func(v, t float64) bool { return v < t },
	"LessThanOrEqualToThreshold":    func(v, t float64) bool { return v <= t },
}

// ProvisionAlarm returns what creates an AWS::CloudWatch::Alarm in the cloud.
func (s *Store) ProvisionAlarm(c *cloud.Cloud) template.Provision {
	return func(_ context.Context, r template.Resource) (template.Attributes, error) {
		var p Properties
		if err := r.Decode(&p); err != nil {
			return template.Attributes{}, err
		}
		if p.AlarmName == "" {
			p.AlarmName = r.PhysicalName
		}
		a, err := s.newAlarm(p)
		if err != nil {
			return template.Attributes{}, err
		}
		a.logicalID, a.arn = r.LogicalID, c.ARN("cloudwatch", "alarm:"+p.AlarmName)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.alarms = append(s.alarms, a)
		return template.Attributes{Ref: p.AlarmName, GetAtt: map[string]string{"Arn": a.arn}}, nil
	}
}

func (s *Store) newAlarm(p Properties) (*alarm, error) {
	a := &alarm{Properties: p, created: s.now(), state: InsufficientData, changed: s.now()}
	a.unevaluated = a.readMetric()
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if a.EvaluationPeriods < 1 {
		refuse("EvaluationPeriods must be a whole number from 1, got %d", a.EvaluationPeriods)
	}
	if n := a.DatapointsToAlarm; n != nil && (*n < 1 || *n > a.EvaluationPeriods) {
		refuse("DatapointsToAlarm must be a whole number from 1 to EvaluationPeriods, got %d", *n)
	}
	if !slices.Contains([]string{"", "breaching", "notBreaching", "ignore", "missing"}, a.TreatMissingData) {
		refuse("TreatMissingData must be breaching, notBreaching, ignore or missing, got %q", a.TreatMissingData)
	}
	for _, action := range slices.Concat(a.AlarmActions, a.OKActions, a.InsufficientDataActions) {
		if strings.Contains(action, ":lambda:") {
			refuse("AlarmActions, OKActions and InsufficientDataActions must not have a function in the local run, whose alarms notify topics only, got %q", action)
		}
	}
	if a.unevaluated == "" {
		if a.period < resolution || a.period%resolution != 0 {
			refuse("Period must be a multiple of %d seconds in the local run, got %d", resolution/time.Second, a.period/time.Second)
		}
		if comparisons[a.ComparisonOperator] == nil {
			refuse("ComparisonOperator must compare with the threshold in the local run, got %q", a.ComparisonOperator)
		}
		var err error
		if a.threshold, err = a.Threshold.Float64(); err != nil {
			refuse("Threshold must be a number, got %q", a.Threshold)
		}
	}
	return a, errors.Join(problems...)
}

// readMetric reads which metric the alarm watches. It returns why the local run cannot evaluate it, or "".
func (a *alarm) readMetric() string {
	switch {
	case a.ThresholdMetricId != "":
		return "the local run has no anomaly detection"
	case a.ExtendedStatistic != "":
		return fmt.Sprintf("the local run does not have the statistic %s", a.ExtendedStatistic)
	case len(a.Metrics) == 0:
		a.metric = Metric{a.Namespace, a.MetricName, a.Dimensions}
		a.period = time.Duration(a.Period) * time.Second
	case len(a.Metrics) == 1 && a.Metrics[0].MetricStat != nil:
		of := a.Metrics[0].MetricStat
		a.metric = Metric{of.Metric.Namespace, of.Metric.MetricName, of.Metric.Dimensions}
		a.period, a.Statistic = time.Duration(of.Period)*time.Second, of.Stat
	default:
		for _, m := range a.Metrics {
			if m.Expression != "" {
				return fmt.Sprintf("the local run does not evaluate expressions: %s", m.Expression)
			}
		}
		return "the local run evaluates alarms over one metric"
	}
	if !slices.Contains(Statistics, a.Statistic) {
		return fmt.Sprintf("the local run does not have the statistic %s", a.Statistic)
	}
	if span := a.period * time.Duration(a.EvaluationPeriods); span > retention {
		return fmt.Sprintf("the local run keeps metrics for %v, and the alarm looks at %v", retention, span)
	}
	return ""
}

package metrics

import (
	"fmt"
	"time"
)

// extra is how many periods before those that an alarm evaluates are looked at for real data.
// Source: CloudWatch user guide, alarms-and-missing-data, "How alarm state is evaluated when data is missing"; its example
// has an evaluation range of five for three periods.
const extra = 2

// A point is what a period came to.
type point int

const (
	missing point = iota
	good
	breaching
)

// evaluate returns the state of an alarm now, and the reason.
func (s *Store) evaluate(a *alarm) (state, reason string) {
	if a.unevaluated != "" {
		return InsufficientData, a.unevaluated
	}
	now := s.now()
	end := now.Truncate(resolution).Add(resolution)
	var points []point // the newest first
	for i := range int(a.EvaluationPeriods) + extra {
		to := end.Add(-time.Duration(i) * a.period)
		statistic, _ := s.Between(a.metric, to.Add(-a.period), to)
		points = append(points, a.judge(statistic))
	}
	// A period before the alarm was there counts only if it has data.
	lived := int(now.Sub(a.created) / a.period)
	return a.decide(points, lived)
}

func (a *alarm) judge(s Statistic) point {
	switch {
	case s.Count == 0:
		return missing
	case comparisons[a.ComparisonOperator](s.Value(a.Statistic), a.threshold):
		return breaching
	}
	return good
}

// decide returns the state for the points of the evaluation range, the newest first. Real data counts before missing data,
// and missing data as little as possible.
// Source: CloudWatch user guide, alarms-and-missing-data.
func (a *alarm) decide(points []point, lived int) (state, reason string) {
	n, m := int(a.EvaluationPeriods), int(a.EvaluationPeriods)
	if a.DatapointsToAlarm != nil {
		m = int(*a.DatapointsToAlarm)
	}
	over, known := 0, 0
	for _, p := range points {
		if p != missing && known < n {
			known++
			if p == breaching {
				over++
			}
		}
	}
	why := func(over int) string {
		return fmt.Sprintf("Threshold Crossed: %d of the last %d datapoints were breaching (%s %s), %d are needed.", over, n, a.ComparisonOperator, a.Threshold, m)
	}
	if known == n {
		return stateOf(over >= m), why(over)
	}
	switch fill := max(0, min(n, lived)-known); a.TreatMissingData {
	case "breaching":
		if over+fill < m && known == 0 && lived < n {
			return InsufficientData, "Unchecked: Initial alarm creation"
		}
		return stateOf(over+fill >= m), why(over+fill) + fmt.Sprintf(" Missing data counts as breaching: %d.", fill)
	case "notBreaching":
		return stateOf(over >= m), why(over) + " Missing data counts as good."
	case "ignore":
		if over >= m || known-over > n-m {
			return stateOf(over >= m), why(over)
		}
		return a.state, "Missing data is ignored: the state is maintained."
	default:
		if known == 0 {
			return InsufficientData, fmt.Sprintf("Insufficient Data: %d datapoints were unknown.", n)
		}
		return stateOf(over >= m || premature(points, m)), why(over)
	}
}

func stateOf(alarm bool) string {
	if alarm {
		return Alarm
	}
	return OK
}

// premature reports that the alarm need not wait for more data: the oldest breaching point is as old as the points that are
// needed, and since then nothing was good.
func premature(points []point, m int) bool {
	oldest := -1
	for i, p := range points {
		if p == good {
			break
		}
		if p == breaching {
			oldest = i
		}
	}
	return oldest >= m-1
}

// A Description describes an alarm.
type Description struct {
	Properties
	LogicalID     string
	ARN           string
	State, Reason string
	Changed       time.Time // when it came to the state
	Limit         float64   // the threshold
	Seconds       int       // the period; 0 for an alarm that is not evaluated
}

// Alarms evaluates all alarms, in the order of the template.
func (s *Store) Alarms() []Description {
	s.evaluating.Lock()
	defer s.evaluating.Unlock()
	s.mu.RLock()
	alarms := s.alarms
	s.mu.RUnlock()
	var all []Description
	for _, a := range alarms {
		state, reason := s.evaluate(a)
		before := a.state
		if state != before {
			a.state, a.changed = state, s.now()
		}
		d := Description{a.Properties, a.logicalID, a.arn, state, reason, a.changed, a.threshold, int(a.period / time.Second)}
		if state != before {
			s.notify(d, before)
		}
		all = append(all, d)
	}
	return all
}

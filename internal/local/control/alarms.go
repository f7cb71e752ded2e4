package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
)

type (
	alarmsRequest struct {
		AlarmNames      []string
		AlarmNamePrefix string
		AlarmTypes      []string
		StateValue      string
	}
	alarmsResponse struct {
		MetricAlarms    []metricAlarm
		CompositeAlarms []struct{}
	}
	metricAlarm struct {
		AlarmName, AlarmArn, AlarmDescription            string
		ActionsEnabled                                   bool
		OKActions, AlarmActions, InsufficientDataActions []string
		StateValue, StateReason                          string
		StateUpdatedTimestamp                            time.Time
		Namespace, MetricName, Statistic                 string
		ExtendedStatistic                                string
		Dimensions                                       []metrics.Dimension
		Period                                           *int
		EvaluationPeriods                                int
		DatapointsToAlarm                                *int
		Threshold                                        *float64
		ComparisonOperator, TreatMissingData             string
		Metrics                                          []alarmQuery
	}
	alarmQuery struct {
		Id, Expression, Label string
		ReturnData            bool
		Period                *int
		MetricStat            *alarmStat
	}
	alarmStat struct {
		Metric metricName
		Period int
		Stat   string
	}
)

// alarms evaluates the alarms that are asked for.
func (m metricsAPI) alarms(_ context.Context, request alarmsRequest) (alarmsResponse, error) {
	m.store.Refresh()
	response := alarmsResponse{MetricAlarms: []metricAlarm{}, CompositeAlarms: []struct{}{}}
	if len(request.AlarmTypes) > 0 && !slices.Contains(request.AlarmTypes, "MetricAlarm") {
		return response, nil
	}
	for _, d := range m.store.Alarms() {
		named := len(request.AlarmNames) == 0 || slices.Contains(request.AlarmNames, d.AlarmName)
		if named && strings.HasPrefix(d.AlarmName, request.AlarmNamePrefix) && isOrAny(d.State, request.StateValue) {
			response.MetricAlarms = append(response.MetricAlarms, alarmOf(d))
		}
	}
	return response, nil
}

func alarmOf(d metrics.Description) metricAlarm {
	a := metricAlarm{
		AlarmName: d.AlarmName, AlarmArn: d.ARN, AlarmDescription: d.AlarmDescription,
		ActionsEnabled: d.ActionsEnabled == nil || bool(*d.ActionsEnabled),
		OKActions:      d.OKActions, AlarmActions: d.AlarmActions, InsufficientDataActions: d.InsufficientDataActions,
		StateValue: d.State, StateReason: d.Reason, StateUpdatedTimestamp: d.Changed,
		EvaluationPeriods: int(d.EvaluationPeriods), ComparisonOperator: d.ComparisonOperator, TreatMissingData: d.TreatMissingData,
		ExtendedStatistic: d.ExtendedStatistic,
	}
	if d.ThresholdMetricId == "" {
		a.Threshold = &d.Limit
	}
	if n := d.DatapointsToAlarm; n != nil {
		whole := int(*n)
		a.DatapointsToAlarm = &whole
	}
	if len(d.Metrics) == 0 {
		period := int(d.Period)
		a.Namespace, a.MetricName, a.Statistic, a.Dimensions, a.Period = d.Namespace, d.MetricName, d.Statistic, d.Dimensions, &period
		return a
	}
	for _, q := range d.Metrics {
		one := alarmQuery{Id: q.Id, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData == nil || bool(*q.ReturnData)}
		if q.MetricStat != nil {
			of := q.MetricStat.Metric
			one.MetricStat = &alarmStat{metricName{of.Namespace, of.MetricName, of.Dimensions}, int(q.MetricStat.Period), q.MetricStat.Stat}
		}
		a.Metrics = append(a.Metrics, one)
	}
	return a
}

package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
)

// metricsAPI answers for CloudWatch.
type metricsAPI struct{ store *metrics.Store }

// operations returns the API. Source: CloudWatch API reference.
func (m metricsAPI) operations() operations {
	return operations{
		"GetMetricData":       on(m.data),
		"GetMetricStatistics": on(m.statistics),
		"ListMetrics":         on(m.list),
		"DescribeAlarms":      on(m.alarms),
	}
}

type metricName struct {
	Namespace, MetricName string
	Dimensions            []metrics.Dimension
}

func (n metricName) metric() metrics.Metric {
	return metrics.Metric{Namespace: n.Namespace, Name: n.MetricName, Dimensions: n.Dimensions}
}

type (
	dataRequest struct {
		MetricDataQueries  []dataQuery
		StartTime, EndTime wire.Time
		ScanBy             string
	}
	dataQuery struct {
		Id, Label, Expression string
		ReturnData            *wire.Bool
		MetricStat            *struct {
			Metric metricName
			Period wire.Number
			Stat   string
		}
	}
	dataResponse struct{ MetricDataResults []dataResult }
	dataResult   struct {
		Id, Label  string
		Timestamps []time.Time
		Values     []float64
		StatusCode string
	}
)

func (m metricsAPI) data(_ context.Context, request dataRequest) (dataResponse, error) {
	m.store.Refresh()
	response := dataResponse{MetricDataResults: []dataResult{}}
	for _, q := range request.MetricDataQueries {
		if q.Expression != "" || q.MetricStat == nil {
			return dataResponse{}, invalidQuery("the local run does not evaluate expressions, got %q in %q", q.Expression, q.Id)
		}
		if q.ReturnData != nil && !*q.ReturnData {
			continue // only an expression could use it
		}
		points, err := m.points(q.MetricStat.Metric, request.StartTime, request.EndTime, q.MetricStat.Period, []string{q.MetricStat.Stat})
		if err != nil {
			return dataResponse{}, err
		}
		result := dataResult{Id: q.Id, Label: q.Label, Timestamps: []time.Time{}, Values: []float64{}, StatusCode: "Complete"}
		if result.Label == "" {
			result.Label = q.MetricStat.Metric.MetricName
		}
		if request.ScanBy != "TimestampAscending" {
			slices.Reverse(points)
		}
		for _, p := range points {
			result.Timestamps, result.Values = append(result.Timestamps, p.at), append(result.Values, p.Value(q.MetricStat.Stat))
		}
		response.MetricDataResults = append(response.MetricDataResults, result)
	}
	return response, nil
}

// A period is the statistic of a period that has data.
type period struct {
	at time.Time
	metrics.Statistic
	unit string
}

// maxPoints limits the data of an answer, for one metric. Source: CloudWatch API reference, GetMetricStatistics.
const maxPoints = 1440

// points returns the periods between the times that have data. They begin at multiples of the period.
func (m metricsAPI) points(name metricName, from, to wire.Time, seconds wire.Number, stats []string) ([]period, error) {
	for _, stat := range stats {
		if !slices.Contains(metrics.Statistics, stat) {
			return nil, invalidQuery("the statistic must be one of %s in the local run, got %q", strings.Join(metrics.Statistics, ", "), stat)
		}
	}
	length := time.Duration(seconds) * time.Second
	if length < 10*time.Second || length%(10*time.Second) != 0 {
		return nil, invalidQuery("Period must be a multiple of 10 seconds in the local run, got %g", float64(seconds))
	}
	start, end := time.Time(from).Truncate(length), time.Time(to)
	if n := end.Sub(start) / length; n < 0 || n > maxPoints {
		return nil, invalidQuery("StartTime and EndTime must be at most %d periods apart, got %d", maxPoints, n)
	}
	var all []period
	for at := start; at.Before(end); at = at.Add(length) {
		if statistic, unit := m.store.Between(name.metric(), at, at.Add(length)); statistic.Count > 0 {
			all = append(all, period{at, statistic, unit})
		}
	}
	return all, nil
}

func invalidQuery(format string, args ...any) error {
	return &wire.Error{Status: http.StatusBadRequest, Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}

type (
	statisticsRequest struct {
		metricName
		StartTime, EndTime wire.Time
		Period             wire.Number
		Statistics         []string
		ExtendedStatistics []string
	}
	statisticsResponse struct {
		Label      string
		Datapoints []datapoint
	}
	datapoint struct {
		Timestamp                                   time.Time
		Sum, Minimum, Maximum, Average, SampleCount *float64
		Unit                                        string
	}
)

func (m metricsAPI) statistics(_ context.Context, request statisticsRequest) (statisticsResponse, error) {
	m.store.Refresh()
	points, err := m.points(request.metricName, request.StartTime, request.EndTime, request.Period, append(request.Statistics, request.ExtendedStatistics...))
	if err != nil {
		return statisticsResponse{}, err
	}
	response := statisticsResponse{Label: request.MetricName, Datapoints: []datapoint{}}
	for _, p := range points {
		one := datapoint{Timestamp: p.at, Unit: p.unit}
		for name, field := range map[string]**float64{
			"Sum": &one.Sum, "Minimum": &one.Minimum, "Maximum": &one.Maximum, "Average": &one.Average, "SampleCount": &one.SampleCount,
		} {
			if slices.Contains(request.Statistics, name) {
				value := p.Value(name)
				*field = &value
			}
		}
		response.Datapoints = append(response.Datapoints, one)
	}
	return response, nil
}

type listMetricsResponse struct{ Metrics []metricName }

// list returns the metrics that have the given dimensions, of any value where none is given.
func (m metricsAPI) list(_ context.Context, request metricName) (listMetricsResponse, error) {
	m.store.Refresh()
	response := listMetricsResponse{Metrics: []metricName{}}
	for _, one := range m.store.List() {
		lacks := slices.ContainsFunc(request.Dimensions, func(d metrics.Dimension) bool {
			return !slices.ContainsFunc(one.Dimensions, func(has metrics.Dimension) bool { return has.Name == d.Name && isOrAny(has.Value, d.Value) })
		})
		if !lacks && isOrAny(one.Namespace, request.Namespace) && isOrAny(one.Name, request.MetricName) {
			response.Metrics = append(response.Metrics, metricName{one.Namespace, one.Name, one.Dimensions})
		}
	}
	return response, nil
}

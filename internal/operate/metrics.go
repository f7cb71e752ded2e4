package operate

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Namespace is that of the metrics which the construct's functions emit.
const Namespace = "TransactionalOutbox"

// How far back metrics are looked for. A queue's are there by the minute while it is active.
// Source: SQS developer guide, sqs-available-cloudwatch-metrics.
const (
	lookBackForBeat = 3 * time.Hour
	lookBackForAge  = 15 * time.Minute
)

// A metricsReading is the newest datapoint of each metric, by its query.
type metricsReading struct {
	points map[string]datapoint
	err    string
}

type datapoint struct {
	at    time.Time
	value float64
}

// maxQueries is how many metrics one request may ask for. Source: CloudWatch API reference, GetMetricData.
const maxQueries = 500

// readMetrics reads the newest datapoints of the stack's heartbeats and queues.
func (v *Surveyor) readMetrics(ctx context.Context, now time.Time) *metricsReading {
	var queries []types.MetricDataQuery
	names := map[string]string{} // of a query → whose it is
	add := func(of string, metric types.Metric) {
		id := fmt.Sprintf("q%d", len(queries))
		names[id] = of
		queries = append(queries, types.MetricDataQuery{
			Id: &id, MetricStat: &types.MetricStat{Metric: &metric, Period: aws.Int32(60), Stat: aws.String("Maximum")},
		})
	}
	for _, o := range v.stack.Outboxes {
		if o.Heartbeat != nil {
			add(o.Path, metric(Namespace, "HeartbeatLag", "Outbox", o.Path))
		}
	}
	for _, c := range v.stack.Consumers {
		if c.Queue != "" {
			add(c.Queue, metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", path.Base(c.Queue)))
		}
	}
	r := &metricsReading{points: map[string]datapoint{}}
	for some := range slices.Chunk(queries, maxQueries) {
		if err := v.readSome(ctx, now, some, names, r.points); err != nil {
			r.err = brief(err)
		}
	}
	return r
}

func (v *Surveyor) readSome(ctx context.Context, now time.Time, queries []types.MetricDataQuery, names map[string]string, points map[string]datapoint) error {
	pages := cloudwatch.NewGetMetricDataPaginator(v.clients.CloudWatch, &cloudwatch.GetMetricDataInput{
		MetricDataQueries: queries, ScanBy: types.ScanByTimestampDescending,
		StartTime: aws.Time(now.Add(-lookBackForBeat)), EndTime: aws.Time(now.Add(time.Minute)),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, result := range page.MetricDataResults {
			of := names[aws.ToString(result.Id)]
			for i, at := range result.Timestamps {
				if i < len(result.Values) && at.After(points[of].at) {
					points[of] = datapoint{at, result.Values[i]}
				}
			}
		}
	}
	return nil
}

// metric returns a metric with one dimension.
func metric(namespace, name, dimension, value string) types.Metric {
	return types.Metric{
		Namespace: &namespace, MetricName: &name, Dimensions: []types.Dimension{{Name: &dimension, Value: &value}},
	}
}

// fill puts the metrics into the status.
func (r *metricsReading) fill(s *Status, stack *Stack) {
	for i, o := range stack.Outboxes {
		if h := s.Outboxes[i].Heartbeat; h != nil {
			h.Last.Error = r.err
			if p, ok := r.points[o.Path]; ok {
				h.Last.Value = Beat{Arrived: p.at.UTC(), LagMS: int64(p.value)}
			}
		}
		r.fillAges(s.Outboxes[i].Consumers, s.At)
	}
	r.fillAges(s.Imported, s.At)
}

func (r *metricsReading) fillAges(consumers []ConsumerStatus, now time.Time) {
	for _, c := range consumers {
		if c.OldestAge == nil {
			continue
		}
		c.OldestAge.Error = r.err
		if p, ok := r.points[c.of.Queue]; ok && now.Sub(p.at) <= lookBackForAge {
			c.OldestAge.Value = Age{Known: true, Seconds: int64(p.value)}
		}
	}
}

// maxAlarmNames is how many alarms one request may name. Source: CloudWatch API reference, DescribeAlarms.
const maxAlarmNames = 100

// alarmsOn returns those of the stack's alarms that are on.
func (v *Surveyor) alarmsOn(ctx context.Context) Reading[[]Alarm] {
	r := Reading[[]Alarm]{Value: []Alarm{}}
	for names := range slices.Chunk(v.stack.Alarms, maxAlarmNames) {
		pages := cloudwatch.NewDescribeAlarmsPaginator(v.clients.CloudWatch, &cloudwatch.DescribeAlarmsInput{
			AlarmNames: names, StateValue: types.StateValueAlarm, MaxRecords: aws.Int32(maxAlarmNames),
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				r.Error = brief(err)
				return r
			}
			for _, a := range page.MetricAlarms {
				r.Value = append(r.Value, Alarm{aws.ToString(a.AlarmName), aws.ToString(a.AlarmDescription), aws.ToString(a.StateReason), aws.ToTime(a.StateUpdatedTimestamp).UTC()})
			}
			for _, a := range page.CompositeAlarms {
				r.Value = append(r.Value, Alarm{aws.ToString(a.AlarmName), aws.ToString(a.AlarmDescription), aws.ToString(a.StateReason), aws.ToTime(a.StateUpdatedTimestamp).UTC()})
			}
		}
	}
	return r
}

package control_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
)

const withAlarms = `{"Resources": {
  "Depth": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "orders-depth", "AlarmDescription": "Look <here>", "Namespace": "AWS/SQS", "MetricName": "Depth",
    "Dimensions": [{"Name": "QueueName", "Value": "Q"}], "Period": 60, "EvaluationPeriods": 1, "Statistic": "Maximum", "Threshold": 2.5, "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching", "AlarmActions": ["arn:aws:sns:eu-west-1:000000000000:T"]}},
  "Math": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "orders-math", "EvaluationPeriods": 2, "DatapointsToAlarm": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
    "Metrics": [{"Id": "e", "Expression": "a > 1", "ReturnData": true}, {"Id": "a", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}}]}},
  "Composite": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {}}
}}`

func TestAlarms(t *testing.T) {
	e := start(t)
	e.deploy(t, withAlarms)
	client := cloudwatch.NewFromConfig(e.config)
	describe := func(in *cloudwatch.DescribeAlarmsInput) []types.MetricAlarm {
		t.Helper()
		out, err := client.DescribeAlarms(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.MetricAlarms
	}
	all := describe(nil)
	if len(all) != 2 {
		t.Fatalf("there are %d alarms", len(all))
	}
	depth, math := all[0], all[1]
	if *depth.AlarmName != "orders-depth" || depth.StateValue != types.StateValueOk || *depth.Threshold != 2.5 || *depth.Period != 60 ||
		*depth.AlarmDescription != "Look <here>" || *depth.Dimensions[0].Value != "Q" || len(depth.AlarmActions) != 1 || !*depth.ActionsEnabled || depth.StateUpdatedTimestamp.IsZero() {
		t.Errorf("got %+v", depth)
	}
	if math.StateValue != types.StateValueInsufficientData || !strings.Contains(*math.StateReason, "a > 1") || *math.DatapointsToAlarm != 1 ||
		*math.Metrics[1].MetricStat.Stat != "Sum" || *math.Metrics[1].ReturnData {
		t.Errorf("got %+v", math)
	}
	e.metrics.Put(metrics.Metric{Namespace: "AWS/SQS", Name: "Depth", Dimensions: []metrics.Dimension{{Name: "QueueName", Value: "Q"}}}, "Count", time.Now(), 3)
	on := describe(&cloudwatch.DescribeAlarmsInput{StateValue: types.StateValueAlarm})
	if len(on) != 1 || *on[0].AlarmName != "orders-depth" || *on[0].StateReason == "" {
		t.Errorf("alarms that are on: %+v", on)
	}
	if named := describe(&cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"orders-math", "other"}}); len(named) != 1 {
		t.Errorf("by name: %+v", named)
	}
	if none := describe(&cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("x")}); len(none) != 0 {
		t.Errorf("by another prefix: %+v", none)
	}
}

func TestMetrics(t *testing.T) {
	e := start(t)
	client := cloudwatch.NewFromConfig(e.config)
	minute := time.Now().Truncate(time.Minute).Add(-10 * time.Minute)
	dimensions := []metrics.Dimension{{Name: "Outbox", Value: "S/Outbox"}, {Name: "Consumer", Value: "One"}}
	put := func(at time.Time, values ...float64) {
		e.metrics.Put(metrics.Metric{Namespace: "N", Name: "Lag", Dimensions: dimensions}, "Milliseconds", at, values...)
	}
	put(minute, 1, 2)
	put(minute.Add(59*time.Second), 6)
	put(minute.Add(2*time.Minute), -4)
	metric := &types.Metric{Namespace: aws.String("N"), MetricName: aws.String("Lag"), Dimensions: []types.Dimension{
		{Name: aws.String("Consumer"), Value: aws.String("One")}, {Name: aws.String("Outbox"), Value: aws.String("S/Outbox")},
	}}
	for stat, want := range map[string][]float64{ // the newest first
		"Sum": {-4, 9}, "Average": {-4, 3}, "Minimum": {-4, 1}, "Maximum": {-4, 6}, "SampleCount": {1, 3},
	} {
		out, err := client.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(minute), EndTime: aws.Time(minute.Add(5 * time.Minute)),
			MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: metric, Period: aws.Int32(60), Stat: &stat}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := out.MetricDataResults[0]
		if !slices.Equal(r.Values, want) || *r.Id != "m" || r.StatusCode != types.StatusCodeComplete || !r.Timestamps[1].Equal(minute) || !r.Timestamps[0].Equal(minute.Add(2*time.Minute)) {
			t.Errorf("%s: %v at %v, want %v", stat, r.Values, r.Timestamps, want)
		}
	}
	statistics, err := client.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
		Namespace: metric.Namespace, MetricName: metric.MetricName, Dimensions: metric.Dimensions, Period: aws.Int32(300),
		StartTime: aws.Time(minute.Truncate(5 * time.Minute)), EndTime: aws.Time(minute.Truncate(5 * time.Minute).Add(10 * time.Minute)),
		Statistics: []types.Statistic{types.StatisticSum, types.StatisticMaximum},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, p := range statistics.Datapoints {
		sum += *p.Sum
		if p.Average != nil || p.Unit != types.StandardUnitMilliseconds {
			t.Errorf("got %+v", p)
		}
	}
	if sum != 5 {
		t.Errorf("the sum is %g", sum)
	}
	for name, in := range map[string]*cloudwatch.ListMetricsInput{
		"all":          {},
		"by namespace": {Namespace: aws.String("N")},
		"by dimension": {Dimensions: []types.DimensionFilter{{Name: aws.String("Consumer")}}},
		"by value":     {MetricName: aws.String("Lag"), Dimensions: []types.DimensionFilter{{Name: aws.String("Consumer"), Value: aws.String("One")}}},
	} {
		if out, err := client.ListMetrics(t.Context(), in); err != nil || len(out.Metrics) != 1 || len(out.Metrics[0].Dimensions) != 2 {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if out, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("Consumer"), Value: aws.String("Two")}}}); err != nil || len(out.Metrics) != 0 {
		t.Errorf("by another value: %+v, %v", out, err)
	}
	for want, query := range map[string]types.MetricDataQuery{
		"SUM(m)": {Id: aws.String("e"), Expression: aws.String("SUM(m)")},
		"p99":    {Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: metric, Period: aws.Int32(60), Stat: aws.String("p99")}},
		"Period": {Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: metric, Period: aws.Int32(1), Stat: aws.String("Sum")}},
	} {
		_, err := client.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{StartTime: aws.Time(minute), EndTime: aws.Time(time.Now()), MetricDataQueries: []types.MetricDataQuery{query}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a refusal that names %s", err, want)
		}
	}
}

// Older clients speak the Query protocol to CloudWatch, and some JSON.
func TestCloudWatchSpeaksEveryProtocol(t *testing.T) {
	e := start(t)
	e.deploy(t, withAlarms)
	minute := time.Now().Truncate(time.Minute).Add(-2 * time.Minute)
	e.metrics.Put(metrics.Metric{Namespace: "N", Name: "M", Dimensions: []metrics.Dimension{{Name: "D", Value: "v"}}}, "", minute, 4)
	form := "Action=GetMetricStatistics&Version=2010-08-01&Namespace=N&MetricName=M&Dimensions.member.1.Name=D&Dimensions.member.1.Value=v&Period=60&Statistics.member.1=Sum" +
		"&StartTime=" + minute.UTC().Format(time.RFC3339) + "&EndTime=" + minute.Add(time.Minute).UTC().Format(time.RFC3339)
	for name, c := range map[string]struct {
		body   string
		header map[string]string
		want   []string
	}{
		"Query": {form, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []string{
			"<GetMetricStatisticsResult><Label>M</Label>", "<member><Timestamp>" + minute.UTC().Format("2006-01-02T15:04:05.000Z") + "</Timestamp><Sum>4</Sum></member>",
		}},
		"JSON": {`{"AlarmNames":["orders-depth"]}`, map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms"}, []string{
			`"AlarmName":"orders-depth"`, `"Threshold":2.5`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.request(t, http.MethodPost, "/", "monitoring", c.body)
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			status, body := send(t, r)
			for _, want := range c.want {
				if status != http.StatusOK || !strings.Contains(body, want) {
					t.Errorf("got %d %s, want in it %s", status, body, want)
				}
			}
		})
	}
}

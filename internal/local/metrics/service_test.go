package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// sum returns the sum of a metric of the last hour, and -1 for no value at all.
func (s *Store) sum(m Metric) float64 {
	statistic, _ := s.Between(m, s.now().Add(-time.Hour), s.now().Add(time.Minute))
	if statistic.Count == 0 {
		return -1
	}
	return statistic.Sum
}

func TestEmbeddedMetrics(t *testing.T) {
	s, now := newStore()
	var passed []hop.Hop
	sink := s.Sink(func(h hop.Hop) { passed = append(passed, h) })
	now.at = time.UnixMilli(1_800_000_000_000)
	for _, line := range []string{
		`{"_aws":{"Timestamp":1800000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"],["B","A"]],"Metrics":[{"Name":"Lag","Unit":"Milliseconds"},{"Name":"Many"}]}]},"A":"a","B":"b","Lag":1.5,"Many":[1,2,3]}`,
		`{"_aws":{"Timestamp":1800000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["C"]],"Metrics":[{"Name":"Lag"}]}]},"A":"a","Lag":7}`,
		`{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"]],"Metrics":[{"Name":"Lag"}]}]},"A":"a","Lag":9}`,
		`{"_aws": broken`, `no metrics`, `{"_aws":null}`,
	} {
		sink(hop.Hop{Stage: hop.Function, Detail: line})
	}
	a, b := Dimension{"A", "a"}, Dimension{"B", "b"}
	for name, c := range map[string]struct {
		metric Metric
		want   float64
	}{
		"one dimension":             {Metric{"N", "Lag", []Dimension{a}}, 1.5},
		"two":                       {Metric{"N", "Lag", []Dimension{a, b}}, 1.5},
		"several values":            {Metric{"N", "Many", []Dimension{b, a}}, 6},
		"a dimension without value": {Metric{"N", "Lag", []Dimension{{"C", ""}}}, -1},
		"no dimension":              {Metric{"N", "Lag", nil}, -1},
	} {
		if got := s.sum(c.metric); got != c.want {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
	if len(passed) != 6 {
		t.Errorf("%d lines were passed on", len(passed))
	}
	statistic, unit := s.Between(Metric{"N", "Many", []Dimension{a, b}}, now.at, now.at.Add(resolution))
	if statistic != (Statistic{6, 1, 3, 3}) || unit != "" {
		t.Errorf("got %+v %s", statistic, unit)
	}
}

func TestHopsBecomeMetrics(t *testing.T) {
	s, now := newStore()
	s.Deployed(&template.Deployment{Resources: []template.Deployed{
		{Resource: template.Resource{LogicalID: "Pipe", Type: "AWS::Pipes::Pipe"}, Attributes: template.Attributes{Ref: "pipe-1"}},
		{
			Resource: template.Resource{LogicalID: "Rule", Type: "AWS::Events::Rule", Properties: map[string]any{
				"Targets": []any{map[string]any{"Id": "a", "DeadLetterConfig": map[string]any{"Arn": "x"}}},
			}},
			Attributes: template.Attributes{Ref: "Orders|rule-1"},
		},
		{Resource: template.Resource{LogicalID: "Default", Type: "AWS::Events::Rule"}, Attributes: template.Attributes{Ref: "rule-2"}},
		{Resource: template.Resource{LogicalID: "Topic", Type: "AWS::SNS::Topic"}, Attributes: template.Attributes{GetAtt: map[string]string{"TopicName": "orders"}}},
	}})
	sink := s.Sink(func(hop.Hop) {})
	for _, h := range []hop.Hop{
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.OK, Count: 5},
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.Retry, Count: 2},
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.Retry}, // about the stream
		{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.DeadLetter, Count: 2},
		{Stage: hop.Pipe, Resource: "Other", Outcome: hop.OK, Count: 5},
		{Stage: hop.Bus, Resource: "Rule", Outcome: hop.OK},
		{Stage: hop.Bus, Resource: "Rule", Outcome: hop.Retry},
		{Stage: hop.Bus, Resource: "Rule", Outcome: hop.DeadLetter},
		{Stage: hop.Bus, Resource: "Rule", Outcome: hop.Dropped},
		{Stage: hop.Bus, Resource: "Default", Outcome: hop.Dropped},
		{Stage: hop.Topic, Resource: "Topic", Outcome: hop.OK},
		{Stage: hop.Topic, Resource: "Topic", Outcome: hop.Retry},
		{Stage: hop.Topic, Resource: "Topic", Outcome: hop.DeadLetter},
		{Stage: hop.Topic, Resource: "Topic", Outcome: hop.Dropped},
		{Stage: hop.Topic, Resource: "Alarm", Outcome: hop.Dropped},
	} {
		h.At = now.at
		sink(h)
	}
	pipe, rule := []Dimension{{"PipeName", "pipe-1"}}, []Dimension{{"EventBusName", "Orders"}, {"RuleName", "rule-1"}}
	other, topic := []Dimension{{"RuleName", "rule-2"}}, []Dimension{{"TopicName", "orders"}}
	for _, c := range []struct {
		metric Metric
		want   float64
	}{
		{Metric{"AWS/EventBridge/Pipes", "EventCount", pipe}, 7},
		{Metric{"AWS/EventBridge/Pipes", "ExecutionFailed", pipe}, 2},
		{Metric{"AWS/EventBridge/Pipes", "ExecutionThrottled", pipe}, 0},
		{Metric{"AWS/Events", "Invocations", rule}, 3},
		{Metric{"AWS/Events", "FailedInvocations", rule}, 2},
		{Metric{"AWS/Events", "InvocationsSentToDlq", rule}, 1},
		{Metric{"AWS/Events", "InvocationsFailedToBeSentToDlq", rule}, 1},
		{Metric{"AWS/Events", "FailedInvocations", other}, 1},
		{Metric{"AWS/Events", "InvocationsFailedToBeSentToDlq", other}, -1},
		{Metric{"AWS/SNS", "NumberOfNotificationsDelivered", topic}, 1},
		{Metric{"AWS/SNS", "NumberOfNotificationsFailed", topic}, 2},
		{Metric{"AWS/SNS", "NumberOfNotificationsRedrivenToDlq", topic}, 1},
	} {
		if got := s.sum(c.metric); got != c.want {
			t.Errorf("%v: %g, want %g", c.metric, got, c.want)
		}
	}
}

func TestInvocations(t *testing.T) {
	s, _ := newStore()
	var next error
	invoke := s.Invocations(func(context.Context, string, []byte) ([]byte, error) { return nil, next })
	for _, next = range []error{nil, &functions.FunctionError{}, functions.ErrThrottled, functions.ErrNotFound} {
		if _, err := invoke(t.Context(), "arn:aws:lambda:eu-west-1:000000000000:function:Fn", nil); !errors.Is(err, next) {
			t.Errorf("got %v, want %v", err, next)
		}
	}
	for name, want := range map[string]float64{"Invocations": 2, "Errors": 1, "Throttles": 1, "Duration": 0} {
		if got := s.sum(Metric{"AWS/Lambda", name, []Dimension{{"FunctionName", "Fn"}}}); got != want {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
}

type depths []queues.Depth

func (d depths) Depths(context.Context) ([]queues.Depth, error) { return d, nil }

func TestDepthsBecomeMetrics(t *testing.T) {
	s, now := newStore()
	s.Follow(depths{{Name: "Q", Visible: 3, NotVisible: 1, OldestSent: now.at.Add(-90 * time.Second)}, {Name: "Empty"}})
	s.Refresh()
	for _, c := range []struct {
		name, queue string
		want        float64
	}{
		{"ApproximateNumberOfMessagesVisible", "Q", 3},
		{"ApproximateNumberOfMessagesNotVisible", "Q", 1},
		{"ApproximateAgeOfOldestMessage", "Q", 90},
		{"ApproximateNumberOfMessagesVisible", "Empty", 0},
		{"ApproximateAgeOfOldestMessage", "Empty", 0},
	} {
		if got := s.sum(Metric{"AWS/SQS", c.name, []Dimension{{"QueueName", c.queue}}}); got != c.want {
			t.Errorf("%s of %s: %g, want %g", c.name, c.queue, got, c.want)
		}
	}
}

func TestOldDataGoes(t *testing.T) {
	s, now := newStore()
	m := Metric{Namespace: "N", Name: "M"}
	for range 3 * int(retention/resolution) {
		s.Put(m, "", now.at, 1)
		now.at = now.at.Add(resolution)
	}
	if kept, most := len(s.series[m.key()].steps), int(retention/resolution)+1; kept > most {
		t.Errorf("%d steps are kept, want at most %d", kept, most)
	}
	all, _ := s.Between(m, now.at.Add(-time.Minute), now.at)
	if all.Count != 6 {
		t.Errorf("the last minute has %g values", all.Count)
	}
}

package eventsource

import (
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	orders    = "arn:aws:sqs:eu-west-1:000000000000:Orders"
	streamARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/Outbox/stream/2026-11-27T00:00:00.000"
)

func localCloud() *cloud.Cloud { return cloud.New("eu-west-1") }

func resource(properties map[string]any) template.Resource {
	return template.Resource{LogicalID: "Mapping", PhysicalName: "m", Properties: properties}
}

func provisioned(t *testing.T, properties map[string]any) ([]*poller, error) {
	t.Helper()
	s := New(Config{Cloud: cloud.New("eu-west-1")})
	for name, value := range map[string]any{"EventSourceArn": orders, "FunctionName": "publisher"} {
		if _, given := properties[name]; !given {
			properties[name] = value
		}
	}
	_, err := s.Provisions()["AWS::Lambda::EventSourceMapping"](t.Context(), template.Resource{LogicalID: "Mapping", PhysicalName: "m", Properties: properties})
	var pollers []*poller
	for _, m := range s.mappings {
		if m.Enabled {
			pollers = append(pollers, m.source.(*poller))
		}
	}
	return pollers, err
}

func TestDefaults(t *testing.T) {
	mappings, err := provisioned(t, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	m := mappings[0]
	expect(t, "mapping", []any{m.logicalID, m.SourceARN, m.functionARN, m.BatchSize, m.Window, m.Concurrency, m.reportsItemFailures},
		[]any{"Mapping", orders, "arn:aws:lambda:eu-west-1:000000000000:function:publisher", 10, time.Duration(0), 5, false})
}

func TestOverrides(t *testing.T) {
	mappings, err := provisioned(t, map[string]any{
		"BatchSize": "100", "MaximumBatchingWindowInSeconds": 3, "FunctionResponseTypes": []any{"ReportBatchItemFailures"},
		"ScalingConfig": map[string]any{"MaximumConcurrency": 7}, "FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:f:live",
		"FilterCriteria": map[string]any{"Filters": []any{map[string]any{"Pattern": `{"body":{"a":[1]}}`}}},
		"Enabled":        true, "Tags": []any{}, "MetricsConfig": map[string]any{"Metrics": []any{"EventCount"}}, "KmsKeyArn": "arn:aws:kms:eu-west-1:000000000000:key/k",
	})
	if err != nil {
		t.Fatal(err)
	}
	m := mappings[0]
	expect(t, "mapping", []any{m.functionARN, m.BatchSize, m.Window, m.Concurrency, m.reportsItemFailures, len(m.filters)},
		[]any{"arn:aws:lambda:eu-west-1:000000000000:function:f:live", 100, 3 * time.Second, 7, true, 1})
}

func TestDisabledMappingDoesNotRun(t *testing.T) {
	mappings, err := provisioned(t, map[string]any{"Enabled": "false"})
	if err != nil || len(mappings) != 0 {
		t.Errorf("%d mappings, error %v, want none", len(mappings), err)
	}
}

func TestRefused(t *testing.T) {
	fifo := orders + ".fifo"
	filters := func(patterns ...any) map[string]any {
		var list []any
		for _, p := range patterns {
			list = append(list, map[string]any{"Pattern": p})
		}
		return map[string]any{"FilterCriteria": map[string]any{"Filters": list}}
	}
	cases := map[string]struct {
		properties map[string]any
		names      string
	}{
		"unknown property":      {map[string]any{"SelfManagedEventSource": map[string]any{}}, "SelfManagedEventSource"},
		"pollers and a limit":   {map[string]any{"ProvisionedPollerConfig": map[string]any{}, "ScalingConfig": map[string]any{"MaximumConcurrency": 2}}, "ProvisionedPollerConfig"},
		"no queue":              {map[string]any{"EventSourceArn": "arn:aws:kinesis:eu-west-1:000000000000:stream/s"}, "kinesis"},
		"batch too large":       {map[string]any{"BatchSize": 10001, "MaximumBatchingWindowInSeconds": 1}, "10001"},
		"batch zero":            {map[string]any{"BatchSize": 0}, "BatchSize"},
		"large without window":  {map[string]any{"BatchSize": 11}, "MaximumBatchingWindowInSeconds"},
		"window too long":       {map[string]any{"MaximumBatchingWindowInSeconds": 301}, "301"},
		"FIFO batch":            {map[string]any{"EventSourceArn": fifo, "BatchSize": 11}, "FIFO"},
		"FIFO window":           {map[string]any{"EventSourceArn": fifo, "MaximumBatchingWindowInSeconds": 1}, "FIFO"},
		"concurrency":           {map[string]any{"ScalingConfig": map[string]any{"MaximumConcurrency": 1}}, "MaximumConcurrency"},
		"response type":         {map[string]any{"FunctionResponseTypes": []any{"All"}}, "All"},
		"filter on another key": {filters(`{"attributes":{"a":[1]}}`), "attributes"},
		"invalid filter":        {filters(`{"body":"x"}`), "filter 0"},
		"six filters":           {filters(`{"body":[1]}`, `{"body":[1]}`, `{"body":[1]}`, `{"body":[1]}`, `{"body":[1]}`, `{"body":[1]}`), "6"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := provisioned(t, c.properties); err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that contains %s", err, c.names)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	wrapped := newQueue(0)
	s := New(Config{Cloud: cloud.New("eu-west-1"), Wrap: func(arn string, q messages.Queue) messages.Queue {
		expect(t, "queue", arn, orders)
		if q == nil {
			t.Error("there is nothing to wrap")
		}
		return wrapped
	}})
	r := template.Resource{Properties: map[string]any{"EventSourceArn": orders, "FunctionName": "publisher"}}
	if _, err := s.Provisions()["AWS::Lambda::EventSourceMapping"](t.Context(), r); err != nil {
		t.Fatal(err)
	}
	expect(t, "queue of the mapping", s.mappings[0].source.(*poller).Queue, messages.Queue(wrapped))
}

func TestSecondMappingOfThePair(t *testing.T) {
	s := New(Config{Cloud: localCloud()})
	first, second := resource(map[string]any{"EventSourceArn": orders, "FunctionName": "f"}), resource(map[string]any{
		"EventSourceArn": orders, "FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:f",
	})
	second.LogicalID = "Second"
	if _, err := s.provision(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := s.provision(t.Context(), second); err == nil || !strings.Contains(err.Error(), "those of Mapping") {
		t.Errorf("error %v", err)
	}
}

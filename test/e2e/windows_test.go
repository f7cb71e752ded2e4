package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// TestTumblingWindowsOfAnAlias: an alias of a version counts the events of the outbox table, each in one window.
func TestTumblingWindowsOfAnAlias(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		p.addStreamFunction("Counter", "counter")
		p.resources["CounterVersion"] = map[string]any{"Type": "AWS::Lambda::Version", "Properties": map[string]any{"FunctionName": map[string]any{"Ref": "Counter"}}}
		p.resources["CounterLive"] = map[string]any{"Type": "AWS::Lambda::Alias", "Properties": map[string]any{
			"FunctionName": map[string]any{"Ref": "Counter"}, "FunctionVersion": map[string]any{"Fn::GetAtt": []any{"CounterVersion", "Version"}}, "Name": "live",
		}}
		p.resources["Counting"] = map[string]any{"Type": "AWS::Lambda::EventSourceMapping", "Properties": map[string]any{
			"EventSourceArn": p.properties("AWS::Pipes::Pipe", "Outbox")["Source"], "FunctionName": map[string]any{"Ref": "CounterLive"},
			"StartingPosition": "TRIM_HORIZON", "TumblingWindowInSeconds": 2, "FilterCriteria": onlyEvents,
		}}
	}))
	const orders = 3
	for range orders {
		awaitEffects(t, run, post(t, run, bought("counted")), "counted", created)
	}
	ended := func(h hop.Hop) bool {
		return h.Stage == hop.Function && h.Resource == "Counter" && strings.Contains(h.Detail, `"msg":"window"`)
	}
	const each = 2 // OrderCreated, and PublisherOne's ShipmentRequested
	for windows, counted := 1, 0; counted < orders*each; windows++ {
		hops, err := run.Wait(within(t), windows, ended)
		if err != nil {
			t.Fatalf("%d events are counted, want %d: %v", counted, orders*each, err)
		}
		var line struct{ Events, By string }
		if err := json.Unmarshal([]byte(hops[windows-1].Detail), &line); err != nil || !strings.HasSuffix(line.By, ":live") {
			t.Errorf("%s (%v), want an invocation of the alias", hops[windows-1].Detail, err)
		}
		n, err := strconv.Atoi(line.Events)
		if err != nil {
			t.Fatal(err)
		}
		if counted += n; counted > orders*each {
			t.Errorf("%d events are counted, want %d", counted, orders*each)
		}
	}
}

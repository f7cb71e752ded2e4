package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// watched returns the stack with one more function, Watcher, on the outbox table's stream and on a schedule.
func watched(t *testing.T) string {
	t.Helper()
	return patched(t, func(p tmpl) {
		p.addStreamFunction("Watcher", "watcher")
		p.resources["Watching"] = map[string]any{"Type": "AWS::Lambda::EventSourceMapping", "Properties": map[string]any{
			"EventSourceArn": p.properties("AWS::Pipes::Pipe", "Outbox")["Source"], "FunctionName": map[string]any{"Ref": "Watcher"},
			"StartingPosition": "TRIM_HORIZON", "FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "BisectBatchOnFunctionError": true,
			"FilterCriteria": onlyEvents,
		}}
		p.resources["EveryMinute"] = map[string]any{"Type": "AWS::Events::Rule", "Properties": map[string]any{
			"ScheduleExpression": "cron(* * * * ? *)",
			"Targets":            []any{map[string]any{"Id": "Watcher", "Arn": map[string]any{"Fn::GetAtt": []any{"Watcher", "Arn"}}}},
		}}
		p.resources["WatcherSchedule"] = map[string]any{"Type": "AWS::Lambda::Permission", "Properties": map[string]any{
			"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com",
			"FunctionName": map[string]any{"Ref": "Watcher"}, "SourceArn": map[string]any{"Fn::GetAtt": []any{"EveryMinute", "Arn"}},
		}}
	})
}

// onlyEvents is a filter for new events of the outbox table.
var onlyEvents = map[string]any{"Filters": []any{map[string]any{"Pattern": `{"eventName":["INSERT"],"dynamodb":{"NewImage":{"recordType":{"S":["outbox.event"]}}}}`}}}

// addStreamFunction adds one of the tests' functions that may read the outbox table's stream. It has the role of
// PublisherOne, which reads no stream by itself.
func (p tmpl) addStreamFunction(id, name string) {
	p.t.Helper()
	raw, err := json.Marshal(p.find("AWS::Lambda::Function", "PublisherOne"))
	if err != nil {
		p.t.Fatal(err)
	}
	var function map[string]any
	if err := json.Unmarshal(raw, &function); err != nil {
		p.t.Fatal(err)
	}
	function["Metadata"].(map[string]any)["aws:cdk:path"] = stack + "/" + id + "/Resource"
	delete(function["Properties"].(map[string]any), "FunctionName")
	p.resources[id] = function
	p.replaceFunction("/"+id+"/", name)
	p.allow("/PublisherOne/", p.arn("AWS::DynamoDB::Table", "/Outbox/Table/", "StreamArn"), "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
	p.allow("/PublisherOne/", "*", "dynamodb:ListStreams")
}

// TestStreamScheduleAndReplay shows that a second reader of the outbox table's stream gets every event, over a kill -9
// too; that a schedule invokes its function; and that a replay of the archive has no second effect.
func TestStreamScheduleAndReplay(t *testing.T) {
	t.Parallel()
	data, app := t.TempDir(), watched(t)
	began := time.Now()
	first := launch(t, app, "--data", data)
	orders := []string{post(t, first, bought("watched"))}
	awaitStream(t, first, orders[0])
	orders = append(orders, post(t, first, bought("watched")))
	first.Kill()
	missed := slices.DeleteFunc(slices.Clone(orders), func(order string) bool { // the last one, or none: a kill may come late
		return len(first.Hops(streamHop(order))) > 0
	})

	run := start(t, app, "--data", data)
	orders = append(orders, post(t, run, bought("watched")))
	awaitStream(t, run, append(missed, orders[2])...)
	if hops := run.Hops(streamHop(orders[0])); len(hops) > 0 {
		t.Errorf("the second run starts before the checkpoint: %+v", hops)
	}
	for _, order := range orders {
		awaitEffects(t, run, order, "watched", created)
	}
	replay(t, run, began)
	for _, order := range orders {
		wantEffects(t, run, order, "watched", created)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	_, err := run.Wait(ctx, 1, func(h hop.Hop) bool {
		return h.Stage == hop.Schedule && h.Resource == "EveryMinute" && h.Outcome == hop.OK
	})
	if err != nil {
		t.Fatal(err)
	}
	said := func(h hop.Hop) bool {
		return h.Stage == hop.Function && h.Resource == "Watcher" && strings.Contains(h.Detail, `"source":"aws.events"`)
	}
	if _, err := run.Wait(within(t), 1, said); err != nil {
		t.Fatalf("the function did not get the schedule's event: %v", err)
	}
}

// streamHop returns a filter for the hops by which the watcher got the order's first event.
func streamHop(order string) func(hop.Hop) bool {
	return func(h hop.Hop) bool {
		return h.Stage == hop.Stream && h.Resource == "Watching" && h.Outcome == hop.OK && slices.Contains(h.EventIDs, order+"-1")
	}
}

func awaitStream(t *testing.T, run *localrun.Run, orders ...string) {
	t.Helper()
	for _, order := range orders {
		if _, err := run.Wait(within(t), 1, streamHop(order)); err != nil {
			t.Fatalf("the watcher did not get order %s: %v", order, err)
		}
	}
}

// replay replays the stack's archive to all rules and waits until the queues have what it sends.
func replay(t *testing.T, run *localrun.Run, since time.Time) {
	t.Helper()
	client := run.Cloud().EventBridge()
	archives, err := client.ListArchives(within(t), &eventbridge.ListArchivesInput{})
	if err != nil || len(archives.Archives) != 1 || archives.Archives[0].EventCount < 3 {
		t.Fatalf("archives %+v, %v", archives, err)
	}
	archive, err := client.DescribeArchive(within(t), &eventbridge.DescribeArchiveInput{ArchiveName: archives.Archives[0].ArchiveName})
	if err != nil {
		t.Fatal(err)
	}
	before := len(run.Hops(delivered))
	_, err = client.StartReplay(within(t), &eventbridge.StartReplayInput{
		ReplayName: aws.String("again"), EventSourceArn: archive.ArchiveArn, EventStartTime: aws.Time(since.Add(-time.Minute)), EventEndTime: aws.Time(time.Now().Add(time.Minute)),
		Destination: &types.ReplayDestination{Arn: archive.EventSourceArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replay completes", func(ctx context.Context) bool {
		out, err := client.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: aws.String("again")})
		return err == nil && out.State == types.ReplayStateCompleted
	})
	if _, err := run.Wait(within(t), before+3, delivered); err != nil {
		t.Fatalf("the replay sends nothing: %v", err)
	}
	for _, consumer := range consumers {
		awaitEmpty(t, run, consumer+"QueueUrl")
	}
}

// delivered is a filter for events that a queue has accepted from the bus.
func delivered(h hop.Hop) bool {
	return h.Stage == hop.Bus && h.Outcome == hop.OK && strings.Contains(h.Target, ":sqs:")
}

package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// wired returns the stack with a way from the queue Orders to the queue Bills that has one of everything: a pipe that reads
// the queue, a function that enriches, a bus, a rule that sends to another bus as a role, and one with an input
// transformer; and with a schedule of EventBridge Scheduler that sends to the queue Ticks.
func wired(t *testing.T) string {
	t.Helper()
	return patched(t, func(p tmpl) {
		raw, err := json.Marshal(p.find("AWS::Lambda::Function", "PublisherOne"))
		if err != nil {
			t.Fatal(err)
		}
		var function map[string]any
		if err := json.Unmarshal(raw, &function); err != nil {
			t.Fatal(err)
		}
		function["Metadata"].(map[string]any)["aws:cdk:path"] = stack + "/Enricher/Resource"
		delete(function["Properties"].(map[string]any), "FunctionName")
		p.resources["Enricher"] = function
		p.replaceFunction("/Enricher/", "enricher")

		arn := func(id string) any { return map[string]any{"Fn::GetAtt": []any{id, "Arn"}} }
		add := func(id, kind string, properties map[string]any) {
			p.resources[id] = map[string]any{"Type": kind, "Properties": properties}
		}
		role := func(id, service string, statements ...any) {
			add(id, "AWS::IAM::Role", map[string]any{
				"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{
					map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": service}},
				}},
				"Policies": []any{map[string]any{"PolicyName": "All", "PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": statements}}},
			})
		}
		may := func(resource any, actions ...any) any {
			return map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource}
		}
		for _, queue := range []string{"Bought", "Bills", "Ticks"} {
			add(queue, "AWS::SQS::Queue", map[string]any{})
			p.outputs[queue] = map[string]any{"Value": map[string]any{"Ref": queue}}
		}
		add("First", "AWS::Events::EventBus", map[string]any{"Name": "first"})
		add("Second", "AWS::Events::EventBus", map[string]any{"Name": "second"})
		role("PipeRole", "pipes.amazonaws.com", may(arn("Bought"), "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
			may(arn("Enricher"), "lambda:InvokeFunction"), may(arn("First"), "events:PutEvents"))
		role("RuleRole", "events.amazonaws.com", may(arn("Second"), "events:PutEvents"), may(arn("Bills"), "sqs:SendMessage"))
		role("TimerRole", "scheduler.amazonaws.com", may(arn("Ticks"), "sqs:SendMessage"))
		add("QueuePipe", "AWS::Pipes::Pipe", map[string]any{
			"RoleArn": arn("PipeRole"), "Source": arn("Bought"), "Enrichment": arn("Enricher"), "Target": arn("First"),
			"SourceParameters": map[string]any{"FilterCriteria": map[string]any{"Filters": []any{map[string]any{"Pattern": `{"body":{"kind":["bill"]}}`}}}},
			"TargetParameters": map[string]any{
				"EventBridgeEventBusParameters": map[string]any{"Source": "wired", "DetailType": "$.order.kind"},
				"InputTemplate":                 `{"n": <$.order.n>, "enriched": <$.enriched>}`,
			},
		})
		pattern := map[string]any{"source": []any{"wired"}}
		add("Onward", "AWS::Events::Rule", map[string]any{"EventBusName": map[string]any{"Ref": "First"}, "EventPattern": pattern, "Targets": []any{
			map[string]any{"Id": "Bus", "Arn": arn("Second"), "RoleArn": arn("RuleRole")},
		}})
		add("Billing", "AWS::Events::Rule", map[string]any{"EventBusName": map[string]any{"Ref": "Second"}, "EventPattern": pattern, "Targets": []any{
			map[string]any{"Id": "Queue", "Arn": arn("Bills"), "RoleArn": arn("RuleRole"), "InputTransformer": map[string]any{
				"InputPathsMap": map[string]any{"n": "$.detail.n", "enriched": "$.detail.enriched"}, "InputTemplate": `{"bill":<n>,"text":"<n>, <enriched>"}`,
			}},
		}})
		add("Group", "AWS::Scheduler::ScheduleGroup", map[string]any{"Name": "wired"})
		add("Timer", "AWS::Scheduler::Schedule", map[string]any{
			"GroupName": map[string]any{"Ref": "Group"}, "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": map[string]any{"Mode": "OFF"},
			"Target": map[string]any{"Arn": arn("Ticks"), "RoleArn": arn("TimerRole"), "Input": "attempt <aws.scheduler.attempt-number>"},
		})
	})
}

// TestWiring shows a message on its way through everything that connects queues, functions and buses, with permissions
// evaluated, and what a schedule sends.
func TestWiring(t *testing.T) {
	t.Parallel()
	run := start(t, wired(t))
	deliver(t, run, "Bought", `{"kind":"other"}`, 1)
	deliver(t, run, "Bought", `{"kind":"bill","n":7}`, 1)
	if got := aws.ToString(receive(t, run, "Bills").Body); got != `{"bill":7,"text":"7, true"}` {
		t.Errorf("the bill is %s", got)
	}
	if got := aws.ToString(receive(t, run, "Ticks").Body); got != "attempt 1" {
		t.Errorf("the schedule sent %s", got)
	}
	awaitEmpty(t, run, "Bought")
	var resources []string
	for _, h := range run.Hops(func(h hop.Hop) bool { return h.Outcome == hop.OK && h.Count == 1 }) {
		if slices.Contains([]string{"QueuePipe", "Onward", "Billing", "Timer"}, h.Resource) {
			resources = append(resources, string(h.Stage)+" "+h.Resource)
		}
	}
	slices.Sort(resources)
	if want := []string{"bus Billing", "bus Onward", "pipe QueuePipe", "schedule Timer"}; !slices.Equal(resources, want) {
		t.Errorf("hops of %q, want %q", resources, want)
	}
}

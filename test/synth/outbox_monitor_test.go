package synth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

func monitored(props outbox.TransactionalOutboxProps) outbox.TransactionalOutboxProps {
	if props.Monitor == nil {
		props.Monitor = &outbox.MonitorProps{}
	}
	props.Alarms = &outbox.AlarmProps{}
	return props
}

func TestMonitor(t *testing.T) {
	tpl := synthesizeOutbox(t, monitored(outbox.TransactionalOutboxProps{ArchiveRetention: awscdk.Duration_Days(jsii.Number(30))}))
	same(t, "asynchronous invocations", tpl.readable(tpl.part(t, "Outbox/Heartbeat/Default/EventInvokeConfig").Properties), onceAMinute("Outbox/Heartbeat"))
	withoutCircles(t, tpl)

	function := tpl.part(t, "Outbox/Heartbeat")
	same(t, "environment", tpl.readable(function.Properties["Environment"]), `{"Variables": {
		"OUTBOX_TABLE": "${Outbox/Table}", "OUTBOX_SOURCE": "orders.heartbeat", "OUTBOX_RETENTION_SECONDS": "172800",
		"HEARTBEAT_QUEUE_URL": "${Outbox/HeartbeatQueue}", "OUTBOX_PATH": "${AWS::StackName}/Outbox"}}`)
	same(t, "tracing", function.Properties["TracingConfig"], `null`)
	same(t, "permissions", tpl.statements(tpl.part(t, "Outbox/Heartbeat/Role/DefaultPolicy").Properties["PolicyDocument"])[1:], `[
		{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "${Outbox/Table.Arn}", "Condition": {
			"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]},
			"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["Heartbeat#*"]}, "Null": {"dynamodb:LeadingKeys": "false"}}},
		{"Effect": "Allow", "Action": ["sqs:DeleteMessage", "sqs:ReceiveMessage"], "Resource": "${Outbox/HeartbeatQueue.Arn}"}
	]`)

	schedule := tpl.part(t, "Outbox/HeartbeatSchedule")
	same(t, "schedule", []any{schedule.Properties["ScheduleExpression"], tpl.readable(schedule.Properties["Targets"])},
		`["rate(1 minute)", [{"Id": "Function", "Arn": "${Outbox/Heartbeat.Arn}"}]]`)
	same(t, "who may invoke it", tpl.readable(tpl.part(t, "Outbox/Heartbeat/Default/Schedule").Properties), `{
		"Action": "lambda:InvokeFunction", "FunctionName": "${Outbox/Heartbeat.Arn}", "Principal": "events.amazonaws.com", "SourceArn": "${Outbox/HeartbeatSchedule.Arn}"}`)

	rule := tpl.part(t, "Outbox/HeartbeatRule")
	same(t, "rule", []any{rule.Properties["EventPattern"], tpl.readable(rule.Properties["EventBusName"])}, `[{"source": ["orders.heartbeat"]}, "${Outbox/EventBus}"]`)
	target := tpl.readable(rule.Properties["Targets"]).([]any)[0].(map[string]any)
	same(t, "target", []any{target["Arn"], target["DeadLetterConfig"]}, `["${Outbox/HeartbeatQueue.Arn}", {"Arn": "${Outbox/RuleDeadLetterQueue.Arn}"}]`)
	list(t, "what is there before the rule", tpl.dependencies(rule), "Outbox/HeartbeatQueue/Policy", "Outbox/RuleDeadLetterQueue/Policy")
	queue := tpl.part(t, "Outbox/HeartbeatQueue")
	same(t, "queue", queue.Properties, `{"MessageRetentionPeriod": 86400, "SqsManagedSseEnabled": true}`)

	filter := tpl.part(t, "Outbox/Pipe").Properties["SourceParameters"].(map[string]any)["FilterCriteria"]
	if !strings.Contains(fmt.Sprint(filter), `"source":{"S":["orders","orders.heartbeat"]}`) {
		t.Errorf("the pipe's filter is %v", filter)
	}
	same(t, "what is archived", tpl.part(t, "Outbox/Archive").Properties["EventPattern"], `{"source": [{"anything-but": ["orders.heartbeat"]}]}`)
	_, box := described[description.Outbox](t, tpl, "Outbox")
	sameJSON(t, "description", box.Heartbeat, `{"function": "${Outbox/Heartbeat}", "source": "orders.heartbeat", "queue": "${Outbox/HeartbeatQueue}", "maximumLagSeconds": "300",
		"schedule": "${Outbox/HeartbeatSchedule}", "rule": "select(2, map[Fn::Split:[/ ${Outbox/HeartbeatRule.Arn}]])"}`)
}

// A metric that is missing is what the first alarm is for.
func TestMonitorAlarms(t *testing.T) {
	tpl := synthesizeOutbox(t, monitored(outbox.TransactionalOutboxProps{Monitor: &outbox.MonitorProps{MaximumLag: awscdk.Duration_Minutes(jsii.Number(2))}}))
	const metric = `"Namespace": "TransactionalOutbox", "MetricName": "HeartbeatLag", "Period": 60, "Dimensions": [{"Name": "Outbox", "Value": "${AWS::StackName}/Outbox"}]`
	sameAlarm(t, tpl, "Outbox/HeartbeatMissingAlarm", `{`+metric+`, "Statistic": "SampleCount", "Threshold": 1, "ComparisonOperator": "LessThanThreshold",
		"TreatMissingData": "breaching", "EvaluationPeriods": 5, "DatapointsToAlarm": 5}`)
	sameAlarm(t, tpl, "Outbox/HeartbeatLagAlarm", `{`+metric+`, "Statistic": "Maximum", "Threshold": 120000, "ComparisonOperator": "GreaterThanThreshold",
		"TreatMissingData": "notBreaching", "EvaluationPeriods": 1}`)
}

// sameAlarm checks an alarm, and that its description names a command that helps.
func sameAlarm(t *testing.T, tpl template, path, want string) {
	t.Helper()
	got := tpl.readable(tpl.part(t, path).Properties).(map[string]any)
	if text := fmt.Sprint(got["AlarmDescription"]); !strings.Contains(text, "`outbox ") {
		t.Errorf("%s names no command: %s", path, text)
	}
	delete(got, "AlarmDescription")
	same(t, path, got, want)
}

func TestWithoutAMonitor(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{ArchiveRetention: awscdk.Duration_Days(jsii.Number(30)), Alarms: &outbox.AlarmProps{}})
	for _, r := range tpl.Resources {
		if strings.Contains(r.path(), "Heartbeat") {
			t.Errorf("there is %s without Monitor", r.path())
		}
	}
	same(t, "what is archived", tpl.part(t, "Outbox/Archive").Properties["EventPattern"], `null`)
	if filter := fmt.Sprint(tpl.part(t, "Outbox/Pipe").Properties); strings.Contains(filter, "heartbeat") {
		t.Errorf("the pipe lets heartbeats through: %s", filter)
	}
}

func TestMonitorOfASuppliedTable(t *testing.T) {
	stack := newStack(t)
	guard(t, func() { newOutbox(stack, monitored(outbox.TransactionalOutboxProps{Table: ownTable(stack)})) })
	tpl := synthesize(t, stack)
	variables := tpl.readable(tpl.part(t, "Outbox/Heartbeat").Properties["Environment"]).(map[string]any)["Variables"].(map[string]any)
	same(t, "table", variables["OUTBOX_TABLE"], `"${Business}"`)
}

func TestMonitorWithoutAlarmsWarns(t *testing.T) {
	for name, props := range map[string]outbox.TransactionalOutboxProps{
		"Monitor": {Monitor: &outbox.MonitorProps{}}, "Audit": {Audit: &outbox.AuditProps{}},
	} {
		stack := newStack(t)
		guard(t, func() { newOutbox(stack, props) })
		if all := warnings(t, stack); !slices.ContainsFunc(all, func(text string) bool { return strings.Contains(text, "notify nobody without Alarms") }) {
			t.Errorf("%s without Alarms: the warnings are %q", name, all)
		}
	}
}

func TestMonitorRefuses(t *testing.T) {
	minute := func(n float64) awscdk.Duration { return awscdk.Duration_Minutes(&n) }
	for name, test := range map[string]struct {
		props outbox.TransactionalOutboxProps
		want  string
	}{
		"short":         {outbox.TransactionalOutboxProps{Monitor: &outbox.MonitorProps{MaximumLag: awscdk.Duration_Seconds(jsii.Number(59))}}, "Monitor.MaximumLag must be whole seconds from 1m0s to 1h0m0s, got 59s"},
		"long":          {outbox.TransactionalOutboxProps{Monitor: &outbox.MonitorProps{MaximumLag: minute(61)}}, "Monitor.MaximumLag must be whole seconds from 1m0s to 1h0m0s, got 1h1m0s"},
		"a token":       {outbox.TransactionalOutboxProps{Monitor: &outbox.MonitorProps{MaximumLag: awscdk.Duration_Seconds(awscdk.Token_AsNumber(map[string]string{"Ref": "Lag"}))}}, "Monitor.MaximumLag must be known when the app is synthesized"},
		"a long source": {outbox.TransactionalOutboxProps{Source: jsii.String(strings.Repeat("s", 247)), Monitor: &outbox.MonitorProps{}}, "Source must have at most 246 bytes with Monitor, whose heartbeats have a longer one, got 247"},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, refused(t, func() { newOutbox(newStack(t), test.props) }), test.want)
		})
	}
}

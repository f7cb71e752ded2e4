package synth

import (
	"maps"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func synthesizeAlarms(t *testing.T, alarms func(awscdk.Stack) *outbox.AlarmProps) template {
	t.Helper()
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{Alarms: alarms(stack)})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	return synthesize(t, stack)
}

func TestAlarms(t *testing.T) {
	tpl := synthesizeAlarms(t, func(awscdk.Stack) *outbox.AlarmProps { return &outbox.AlarmProps{} })
	const (
		pipe     = `[{"Name": "PipeName", "Value": "${Outbox/Pipe}"}]`
		rule     = `[{"Name": "EventBusName", "Value": "${Outbox/EventBus}"}, {"Name": "RuleName", "Value": {"Fn::Select": [2, {"Fn::Split": ["/", "${Outbox/Shipping/Rule.Arn}"]}]}}]`
		function = `[{"Name": "FunctionName", "Value": "${Outbox/Shipping/Function}"}]`
	)
	queue := func(path string) string { return `[{"Name": "QueueName", "Value": "${` + path + `.QueueName}"}]` }
	for path, want := range map[string]string{
		"Outbox/PipeFailedAlarm":              `{"Namespace": "AWS/EventBridge/Pipes", "MetricName": "ExecutionFailed", "Statistic": "Sum", "Period": 300, "Threshold": 3, "Dimensions": ` + pipe + `}`,
		"Outbox/PipeThrottledAlarm":           `{"Namespace": "AWS/EventBridge/Pipes", "MetricName": "ExecutionThrottled", "Statistic": "Sum", "Period": 300, "Threshold": 3, "Dimensions": ` + pipe + `}`,
		"Outbox/PipeDeadLettersAlarm":         `{"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum", "Period": 60, "Threshold": 1, "Dimensions": ` + queue("Outbox/PipeDeadLetterQueue") + `}`,
		"Outbox/RuleDeadLettersAlarm":         `{"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum", "Period": 60, "Threshold": 1, "Dimensions": ` + queue("Outbox/RuleDeadLetterQueue") + `}`,
		"Outbox/Shipping/DeliveryFailedAlarm": `{"Namespace": "AWS/Events", "MetricName": "FailedInvocations", "Statistic": "Sum", "Period": 60, "Threshold": 1, "Dimensions": ` + rule + `}`,
		"Outbox/Shipping/DeliveryLostAlarm":   `{"Namespace": "AWS/Events", "MetricName": "InvocationsFailedToBeSentToDlq", "Statistic": "Sum", "Period": 60, "Threshold": 1, "Dimensions": ` + rule + `}`,
		"Outbox/Shipping/OldestMessageAlarm":  `{"Namespace": "AWS/SQS", "MetricName": "ApproximateAgeOfOldestMessage", "Statistic": "Maximum", "Period": 60, "Threshold": 900, "Dimensions": ` + queue("Outbox/Shipping/Queue") + `}`,
		"Outbox/Shipping/DeadLettersAlarm":    `{"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum", "Period": 60, "Threshold": 1, "Dimensions": ` + queue("Outbox/Shipping/DeadLetterQueue") + `}`,
		"Outbox/Shipping/ErrorsAlarm":         `{"Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum", "Period": 300, "Threshold": 3, "Dimensions": ` + function + `}`,
		"Outbox/Shipping/ThrottlesAlarm":      `{"Namespace": "AWS/Lambda", "MetricName": "Throttles", "Statistic": "Sum", "Period": 300, "Threshold": 3, "Dimensions": ` + function + `}`,
	} {
		got := maps.Clone(tpl.part(t, path).Properties)
		if got["AlarmDescription"] == nil {
			t.Errorf("%s does not say what it means", path)
		}
		delete(got, "AlarmDescription")
		same(t, "comparison of "+path, map[string]any{"operator": got["ComparisonOperator"], "missing": got["TreatMissingData"], "periods": got["EvaluationPeriods"]},
			`{"operator": "GreaterThanOrEqualToThreshold", "missing": "notBreaching", "periods": 1}`)
		for _, checked := range []string{"ComparisonOperator", "TreatMissingData", "EvaluationPeriods"} {
			delete(got, checked)
		}
		same(t, path, tpl.readable(got), want)
	}
	if n := len(tpl.ofType("AWS::CloudWatch::Alarm")); n != 10 {
		t.Errorf("there are %d alarms, the test knows 10", n)
	}
}

func TestAlarmsAreOptIn(t *testing.T) {
	tpl := synthesizeAlarms(t, func(awscdk.Stack) *outbox.AlarmProps { return nil })
	list(t, "alarms", tpl.paths("AWS::CloudWatch::Alarm"))
}

func TestAlarmsTellTheirTopic(t *testing.T) {
	tpl := synthesizeAlarms(t, func(stack awscdk.Stack) *outbox.AlarmProps {
		return &outbox.AlarmProps{
			Topic:            awssns.NewTopic(stack, jsii.String("OnCall"), nil),
			OldestMessageAge: awscdk.Duration_Hours(jsii.Number(1)),
		}
	})
	for id, alarm := range tpl.ofType("AWS::CloudWatch::Alarm") {
		same(t, "actions of "+id, tpl.readable([]any{alarm.Properties["AlarmActions"], alarm.Properties["OKActions"]}), `[["${OnCall}"], ["${OnCall}"]]`)
	}
	same(t, "oldest message", tpl.part(t, "Outbox/Shipping/OldestMessageAlarm").Properties["Threshold"], `3600`)
}

func TestMetrics(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		consumer := box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
		for name, metric := range map[string]func(*awscloudwatch.MetricOptions) awscloudwatch.Metric{
			"AWS/EventBridge/Pipes EventCount":               box.MetricPipeEvents,
			"AWS/EventBridge/Pipes ExecutionFailed":          box.MetricPipeFailed,
			"AWS/EventBridge/Pipes ExecutionPartiallyFailed": box.MetricPipePartiallyFailed,
			"AWS/EventBridge/Pipes ExecutionThrottled":       box.MetricPipeThrottled,
			"AWS/Events FailedInvocations":                   consumer.MetricDeliveryFailed,
			"AWS/Events InvocationsFailedToBeSentToDlq":      consumer.MetricDeliveryLost,
			"AWS/SQS ApproximateAgeOfOldestMessage":          consumer.MetricOldestMessageAge,
			"AWS/Lambda Errors":                              consumer.MetricErrors,
			"AWS/Lambda Throttles":                           consumer.MetricThrottles,
		} {
			m := metric(nil)
			same(t, "metric", *m.Namespace()+" "+*m.MetricName(), `"`+name+`"`)
			same(t, "period of "+name, m.Period().ToSeconds(nil), `300`)
			hourly := metric(&awscloudwatch.MetricOptions{Period: awscdk.Duration_Hours(jsii.Number(1))})
			same(t, "overridden period of "+name, hourly.Period().ToSeconds(nil), `3600`)
		}
		for path, metric := range map[string]awscloudwatch.Metric{
			"Stack/Outbox/PipeDeadLetterQueue":      box.MetricPipeDeadLetters(nil),
			"Stack/Outbox/RuleDeadLetterQueue":      box.MetricRuleDeadLetters(nil),
			"Stack/Outbox/Shipping/DeadLetterQueue": consumer.MetricDeadLetters(nil),
		} {
			same(t, "metric of "+path, metric.MetricName(), `"ApproximateNumberOfMessagesVisible"`)
		}
	})
}

package synth

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
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
		"Outbox/PipeSilentAlarm":              silentAlarm,
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
		// Who reads it at night must learn what to do.
		if text := fmt.Sprint(tpl.readable(got["AlarmDescription"])); !regexp.MustCompile(`(?i)\b(fix|raise|run|read|let) [^.]+\.`).MatchString(text) {
			t.Errorf("%s does not say what to do: %s", path, text)
		}
		delete(got, "AlarmDescription")
		periods := 1
		if path == "Outbox/PipeSilentAlarm" {
			periods = 12
		}
		same(t, "comparison of "+path, map[string]any{"operator": got["ComparisonOperator"], "missing": got["TreatMissingData"], "periods": got["EvaluationPeriods"]},
			fmt.Sprintf(`{"operator": "GreaterThanOrEqualToThreshold", "missing": "notBreaching", "periods": %d}`, periods))
		for _, checked := range []string{"ComparisonOperator", "TreatMissingData", "EvaluationPeriods"} {
			delete(got, checked)
		}
		same(t, path, tpl.readable(got), want)
	}
	if n := len(tpl.ofType("AWS::CloudWatch::Alarm")); n != 11 {
		t.Errorf("there are %d alarms, the test knows 11", n)
	}
}

// Who is called at night types the command as it stands in the alarm, with the name that the stack has been deployed under.
func TestCommandsInAlarmsNameTheStack(t *testing.T) {
	check := func(t *testing.T, tpl template, stack string, atLeast int) {
		t.Helper()
		commands := 0
		for id, alarm := range tpl.ofType("AWS::CloudWatch::Alarm") {
			raw := alarm.Properties["AlarmDescription"]
			if _, plain := raw.(string); !plain {
				// One Fn::Join of texts and the stack's name is what every tool understands.
				for _, part := range raw.(map[string]any)["Fn::Join"].([]any)[1].([]any) {
					if ref, isToken := part.(map[string]any); isToken && len(ref) != 1 || isToken && ref["Ref"] == nil {
						t.Errorf("the description of %s has %v", id, part)
					}
				}
			}
			text := fmt.Sprint(tpl.readable(raw))
			for _, command := range regexp.MustCompile("`outbox [^`]*`").FindAllString(text, -1) {
				commands++
				if !strings.HasSuffix(command, " --stack "+stack+"`") {
					t.Errorf("%s says %s", id, command)
				}
			}
			// Source: CloudWatch API reference, PutMetricAlarm; CloudFormation API reference, CreateStack (a name's 128).
			if n := len(strings.ReplaceAll(text, stack, strings.Repeat("x", 128))); n > 1024 {
				t.Errorf("the description of %s may have %d characters", id, n)
			}
		}
		if commands < atLeast {
			t.Errorf("the alarms name %d commands, want at least %d", commands, atLeast)
		}
	}
	props := outbox.TransactionalOutboxProps{Alarms: &outbox.AlarmProps{}, Monitor: &outbox.MonitorProps{}, Audit: &outbox.AuditProps{}}
	t.Run("in a stack", func(t *testing.T) {
		stack := newStack(t)
		guard(t, func() {
			newOutbox(stack, props).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
		})
		check(t, synthesize(t, stack), "${AWS::StackName}", 16)
	})
	t.Run("in a nested stack", func(t *testing.T) {
		stack := newStack(t)
		nested := awscdk.NewNestedStack(stack, jsii.String("Nested"), nil)
		guard(t, func() { newOutbox(nested, props) })
		tpl := synthesizeNested(t, stack)[0]
		parameter := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(tpl.readable(tpl.part(t, "Nested/Outbox/Auditor").Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["AUDIT_PARAMETERS"])), "/outboxkit/"), "/Nested.Outbox")
		check(t, tpl, parameter, 9)
	})
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

const silentAlarm = `{
	"Threshold": 1, "DatapointsToAlarm": 6,
	"Metrics": [
		{"Id": "expr_1", "Label": "writes without pipe events", "ReturnData": true,
		 "Expression": "IF(RUNNING_SUM(FILL(writes, 0)) > 0 AND RUNNING_SUM(FILL(events, 0) + 0 * FILL(writes, 0)) < 1, 1, 0)"},
		{"Id": "events", "ReturnData": false, "MetricStat": {"Period": 300, "Stat": "Sum", "Metric": {
			"Namespace": "AWS/EventBridge/Pipes", "MetricName": "EventCount", "Dimensions": [{"Name": "PipeName", "Value": "${Outbox/Pipe}"}]}}},
		{"Id": "writes", "ReturnData": false, "MetricStat": {"Period": 300, "Stat": "Sum", "Metric": {
			"Namespace": "AWS/DynamoDB", "MetricName": "ConsumedWriteCapacityUnits", "Dimensions": [{"Name": "TableName", "Value": "${Outbox/Table}"}]}}}
	]
}`

// What the alarm of the template means, an hour in periods of five minutes: a letter is a period with a write (w), a pipe
// event (e), both (b) or no datapoint at all (.). What stands before the hour is retrieved without being looked at.
func TestPipeSilentAlarmInWords(t *testing.T) {
	goesOff := pipeSilentAlarm(t)
	for periods, want := range map[string]bool{
		"wwwwwwwwwwww": true,  // disabled for an hour
		"w...........": true,  // a single write that no event follows
		"......w.....": true,  // half an hour after it
		".......w....": false, // and not before
		"bbbbbbbbbbbb": false,
		"............": false, // a quiet system
		"w.e.........": false, // the write was late in its period, and the pipe waited for a batch to fill
		"...........w": false, // the pipe's metric is late
		"bwwwwwwwwwww": false, // disabled for less than an hour
		"wwwwwwwwe...": true,  // started again: over as soon as less than half an hour of silence is in sight
		"wwwwwe......": false,

		"..... wwwwwwwwwwww": true,
		"....b wwwwwwwwwwww": false, // later, because the event is still in sight
		"w.... ............": true,  // longer, because the write is
		"we... ............": false,
	} {
		for _, fillsNothing := range []bool{true, false} {
			if got := goesOff(periods, fillsNothing); got != want {
				t.Errorf("%s: alarm %v, want %v (where FILL makes zeros of a metric without datapoints: %v)", periods, got, want, fillsNothing)
			}
		}
	}
}

// pipeSilentAlarm returns what the synthesized alarm does after such periods.
func pipeSilentAlarm(t *testing.T) func(periods string, fillsNothing bool) bool {
	t.Helper()
	tpl := synthesizeAlarms(t, func(awscdk.Stack) *outbox.AlarmProps { return &outbox.AlarmProps{} })
	var alarm struct {
		Threshold                            float64
		EvaluationPeriods, DatapointsToAlarm int
		TreatMissingData, ComparisonOperator string
		Metrics                              []struct {
			ID, Expression string
			MetricStat     struct{ Metric struct{ MetricName string } }
		}
	}
	if err := json.Unmarshal([]byte(canonical(t, tpl.part(t, "Outbox/PipeSilentAlarm").Properties)), &alarm); err != nil {
		t.Fatal(err)
	}
	same(t, "comparison", []string{alarm.ComparisonOperator, alarm.TreatMissingData}, `["GreaterThanOrEqualToThreshold", "notBreaching"]`)
	letters := map[string]string{"ConsumedWriteCapacityUnits": "wb", "EventCount": "eb"}
	return func(periods string, fillsNothing bool) bool {
		metrics, expression := map[string][]float64{}, ""
		for _, metric := range alarm.Metrics {
			if metric.Expression != "" {
				expression = metric.Expression
				continue
			}
			for _, period := range strings.ReplaceAll(periods, " ", "") {
				value := missing
				if strings.ContainsRune(letters[metric.MetricStat.Metric.MetricName], period) {
					value = 1
				}
				metrics[metric.ID] = append(metrics[metric.ID], value)
			}
		}
		breaching := 0
		result := evaluateMath(t, expression, metrics, fillsNothing)
		for _, value := range result[len(result)-alarm.EvaluationPeriods:] {
			if value >= alarm.Threshold {
				breaching++
			}
		}
		return breaching >= alarm.DatapointsToAlarm
	}
}

// In a table that the outbox shares, a write need not be an event.
func TestPipeSilentAlarmIsForATableOfEventsOnly(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{
			Alarms: &outbox.AlarmProps{},
			Table: awsdynamodb.Table_FromTableAttributes(stack, jsii.String("Shared"), &awsdynamodb.TableAttributes{
				TableArn: jsii.String(tableARN), TableStreamArn: jsii.String(tableARN + "/stream/2026-11-23T00:00:00.000"),
			}),
		})
	})
	list(t, "alarms", synthesize(t, stack).paths("AWS::CloudWatch::Alarm"),
		"Outbox/PipeDeadLettersAlarm", "Outbox/PipeFailedAlarm", "Outbox/PipeThrottledAlarm", "Outbox/RuleDeadLettersAlarm")
}

// A topic's own policy takes the place of the default one, which lets alarms in.
func TestTopicLetsAlarmsPublish(t *testing.T) {
	const allow = `{"Sid": "%d", "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": "${OnCall}",
		"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"},
			"ArnLike": {"aws:SourceArn": "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"}}}`
	const tls = `{"Sid": "AllowPublishThroughSSLOnly", "Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "${OnCall}",
		"Condition": {"Bool": {"aws:SecureTransport": "false"}}}`
	for name, test := range map[string]struct {
		props awssns.TopicProps
		want  string
	}{
		"a topic":                   {awssns.TopicProps{}, `[` + fmt.Sprintf(allow, 0) + `]`},
		"a topic that enforces TLS": {awssns.TopicProps{EnforceSSL: jsii.Bool(true)}, `[` + tls + `, ` + fmt.Sprintf(allow, 1) + `]`},
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				alarms := &outbox.AlarmProps{Topic: awssns.NewTopic(stack, jsii.String("OnCall"), &test.props)}
				box := newOutbox(stack, outbox.TransactionalOutboxProps{Alarms: alarms})
				// A second outbox with the same topic, imported, whose consumer has alarms.
				outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Other"), &outbox.TransactionalOutboxAttributes{
					Source: jsii.String("other"), EventBus: box.EventBus(), Alarms: alarms,
				}).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: &golambda.FunctionProps{Entry: jsii.String(greet)}})
			})
			tpl := synthesize(t, stack)
			same(t, "policy", tpl.statements(tpl.part(t, "OnCall/Policy").Properties["PolicyDocument"]), test.want)
		})
	}
}

func TestEncryptedTopicLetsAlarmsPublish(t *testing.T) {
	tpl := synthesizeAlarms(t, func(stack awscdk.Stack) *outbox.AlarmProps {
		return &outbox.AlarmProps{Topic: awssns.NewTopic(stack, jsii.String("OnCall"), &awssns.TopicProps{
			MasterKey: awskms.NewKey(stack, jsii.String("TopicKey"), nil),
		})}
	})
	statements := tpl.statements(tpl.part(t, "TopicKey").Properties["KeyPolicy"])
	same(t, "the key's statement for alarms", statements[len(statements)-1], `{
		"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
		"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
	}`)
}

// The policy of a topic of someone else cannot be changed, and need not: the default one lets alarms in.
func TestImportedTopicIsLeftAlone(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{Alarms: &outbox.AlarmProps{
			Topic: awssns.Topic_FromTopicArn(stack, jsii.String("OnCall"), jsii.String("arn:aws:sns:eu-west-1:111111111111:on-call")),
		}})
	})
	list(t, "policies", synthesize(t, stack).paths("AWS::SNS::TopicPolicy"))
	list(t, "warnings", warnings(t, stack))
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

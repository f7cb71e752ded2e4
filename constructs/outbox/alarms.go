package outbox

import (
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// Ids of the outbox's alarms. They are part of the contract, as those of its other parts are.
const (
	pipeFailedAlarmID      = "PipeFailedAlarm"
	pipeThrottledAlarmID   = "PipeThrottledAlarm"
	pipeSilentAlarmID      = "PipeSilentAlarm"
	pipeDeadLettersAlarmID = "PipeDeadLettersAlarm"
	ruleDeadLettersAlarmID = "RuleDeadLettersAlarm"
)

// transientFailures is how many failures within five minutes retries do not settle.
const transientFailures = 3

// An alarm watches for something that needs a person: its metric reaches the threshold at as many datapoints of the last
// periods. The description says what to do; docs/operations.md has a section for each alarm, which says it at length.
type alarm struct {
	id          string
	metric      awscloudwatch.IMetric
	threshold   float64
	description string

	datapoints, periods float64 // default: the last period alone

	comparison      awscloudwatch.ComparisonOperator // default: at least the threshold
	missingBreaches bool                             // where the metric always has datapoints while all is well
}

func (o *TransactionalOutbox) addAlarms() {
	if o.alarmProps == nil {
		return
	}
	o.letAlarmsNotify()
	o.newAlarms(o, []alarm{
		{
			id: pipeFailedAlarmID, metric: o.MetricPipeFailed(minutes(5)), threshold: transientFailures,
			description: "The pipe fails to put events on the bus. Fix what its log group names as the reason; the pipe tries again by itself.",
		},
		{
			id: pipeThrottledAlarmID, metric: o.MetricPipeThrottled(minutes(5)), threshold: transientFailures,
			description: "The pipe is throttled, and events are late. Raise the quotas of EventBridge Pipes and PutEvents in this account and Region.",
		},
		{
			id: pipeDeadLettersAlarmID, metric: o.MetricPipeDeadLetters(minutes(1)), threshold: 1,
			description: "The pipe gave up on events. Fix what its log group names as the reason, then run `outbox dead-letters redrive`, at best within 24 hours, while the events are in the stream.",
		},
		{
			id: ruleDeadLettersAlarmID, metric: o.MetricRuleDeadLetters(minutes(1)), threshold: 1,
			description: "A rule could not deliver events to a consumer's queue. Read the reasons with `outbox dead-letters list`, fix them, then run `outbox dead-letters redrive`.",
		},
	})
	if o.ownsTable() {
		o.newAlarms(o, []alarm{o.pipeSilentAlarm()})
	}
	if o.monitor != nil {
		o.addMonitorAlarms()
	}
	if o.auditor != nil {
		o.auditor.addAlarms()
	}
}

// ownsTable reports whether the outbox table was created here, and so holds nothing but events and their counters.
func (o *TransactionalOutbox) ownsTable() bool {
	return o.Node().TryFindChild(jsii.String(tableID)) != nil
}

// How long events may be written without any pipe event, in periods of five minutes: half an hour within an hour. That is
// longer than the pipe may wait for a batch to fill, and longer than its metrics are late.
const (
	silentDatapoints = 6
	silentPeriods    = 12
)

// pipeSilentAlarm watches for a pipe that was stopped, or that AWS disabled after it failed nearly always: it has no
// metrics at all then, and so no other alarm.
//
// A period breaches from the first write to the table until the first event that the pipe takes up, within the hour that
// the alarm looks at. Both metrics are filled with 0, because neither exists while nothing happens. FILL is not documented
// to make anything of a metric without a single datapoint, which the pipe's is in just the case that the alarm is for.
// Therefore the events are counted on top of zeros that the writes have datapoints for: arithmetic treats a missing value
// as 0.
//
// CloudWatch retrieves more datapoints than an alarm looks at, and RUNNING_SUM counts those, too: events shortly before the
// hour delay the alarm until they are out of sight, and a write that no event followed prolongs it.
//
// ConsumedWriteCapacityUnits counts what writers do, but not what TTL deletes. It also counts transactions that a condition
// refused and items that are deleted by hand: where that is all that happens in an hour, the alarm is a false one, and its
// description says so.
// Source: CloudWatch user guide, using-metric-math, "Basic arithmetic functions" and "RUNNING_SUM"; DynamoDB developer guide,
// metrics-dimensions and TTL; EventBridge user guide, eb-pipes-monitoring and eb-pipes-error-troubleshooting.
func (o *TransactionalOutbox) pipeSilentAlarm() alarm {
	return alarm{
		id: pipeSilentAlarmID,
		metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression: jsii.String("IF(RUNNING_SUM(FILL(writes, 0)) > 0 AND RUNNING_SUM(FILL(events, 0) + 0 * FILL(writes, 0)) < 1, 1, 0)"),
			Label:      jsii.String("writes without pipe events"),
			Period:     awscdk.Duration_Minutes(jsii.Number(5)),
			UsingMetrics: &map[string]awscloudwatch.IMetric{
				"writes": o.table.MetricConsumedWriteCapacityUnits(&awscloudwatch.MetricOptions{Statistic: jsii.String("Sum")}),
				"events": o.MetricPipeEvents(nil),
			},
		}),
		threshold: 1, datapoints: silentDatapoints, periods: silentPeriods,
		description: "Events are written and the pipe takes up none. Run `outbox status` to see the pipe's state and its reason, fix the reason, and start a stopped pipe with `outbox resume --pipe`: its events are in the stream for 24 hours. Nothing is wrong if clients only repeated old requests, or items were deleted by hand.",
	}
}

func (c *Consumer) addAlarms() {
	props := c.flow.alarmProps
	if props == nil {
		return
	}
	c.flow.letAlarmsNotify()
	c.flow.newAlarms(c, []alarm{
		{
			id: "DeliveryFailedAlarm", metric: c.MetricDeliveryFailed(minutes(1)), threshold: 1,
			description: "The rule gave up on delivering events to the queue. Read the reason with `outbox dead-letters list`, fix it, then run `outbox dead-letters redrive`.",
		},
		{
			id: "DeliveryLostAlarm", metric: c.MetricDeliveryLost(minutes(1)), threshold: 1,
			description: "The rule could not even use its dead-letter queue: events are lost to this consumer. Let EventBridge send to the rules' dead-letter queue again, then run `outbox audit --full` and `outbox repair --full`; for a consumer without an inbox `outbox replay`.",
		},
		{
			id: "OldestMessageAlarm", metric: c.MetricOldestMessageAge(minutes(1)), threshold: *props.OldestMessageAge.ToSeconds(nil),
			description: "The consumer does not keep up, or cannot handle a message. Read the function's log; raise MaxConcurrency if it only is slow.",
		},
		{
			id: "DeadLettersAlarm", metric: c.MetricDeadLetters(minutes(1)), threshold: 1,
			description: "The consumer gave up on events. Read why with `outbox dead-letters list`, fix the consumer, then run `outbox dead-letters redrive`.",
		},
		{
			id: "ErrorsAlarm", metric: c.MetricErrors(minutes(5)), threshold: transientFailures,
			description: "Invocations of the function fail as a whole. Read the function's log and fix the function before its messages use up their receives.",
		},
		{
			id: "ThrottlesAlarm", metric: c.MetricThrottles(minutes(5)), threshold: transientFailures,
			description: "Invocations of the function are throttled. Raise its reserved concurrency or the account's before its messages use up their receives.",
		},
	})
}

// minutes are the options of a metric of that period.
func minutes(n float64) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Period: awscdk.Duration_Minutes(&n)}
}

// commands are the command lines in an alarm's description.
var commands = regexp.MustCompile("`(outbox [^`]+)`")

// instructions returns what to do about an alarm, with command lines that can be typed as they are. It has far less than
// CloudWatch's 1024 characters, whatever the stack is called. Source: CloudWatch API reference, PutMetricAlarm, AlarmDescription.
func (f *flow) instructions(text string) *string {
	stack := strings.ReplaceAll(*f.place.deployedStack(), "$", "$$") // a token, in which $ is no group
	return jsii.String(commands.ReplaceAllString(text, "`$1 --stack "+stack+"`"))
}

// newAlarms adds alarms below the scope.
func (f *flow) newAlarms(scope constructs.Construct, alarms []alarm) {
	topic := f.alarmProps.Topic
	for _, a := range alarms {
		var datapoints *float64
		if a.datapoints > 0 {
			datapoints = &a.datapoints
		}
		if a.comparison == "" {
			a.comparison = awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD
		}
		// Several of these metrics exist only while they are not zero.
		missing := awscloudwatch.TreatMissingData_NOT_BREACHING
		if a.missingBreaches {
			missing = awscloudwatch.TreatMissingData_BREACHING
		}
		added := awscloudwatch.NewAlarm(scope, &a.id, &awscloudwatch.AlarmProps{
			Metric:             a.metric,
			Threshold:          &a.threshold,
			EvaluationPeriods:  jsii.Number(max(a.periods, 1)),
			DatapointsToAlarm:  datapoints,
			ComparisonOperator: a.comparison,
			TreatMissingData:   missing,
			AlarmDescription:   f.instructions(a.description),
		})
		if topic != nil {
			action := &topicAction{topic}
			added.AddAlarmAction(action)
			added.AddOkAction(action)
		}
	}
}

// letAlarmsNotify lets CloudWatch publish to the topic for the alarms of this account and Region. The policy of a topic
// takes the place of the default one, which lets the account's alarms publish: without this statement a topic that, for
// example, enforces TLS would notify nobody. It is for all alarms of the account and not only these, because the
// statement may be the one that gives the topic its policy.
// Source: SNS developer guide, sns-access-policy-use-cases; CloudWatch user guide, Notify_Users_Alarm_Changes.
//
// The policy of an imported topic belongs to its owner and is left alone.
func (f *flow) letAlarmsNotify() {
	topic := f.alarmProps.Topic
	if topic == nil || f.alarmsNotify {
		return
	}
	f.alarmsNotify = true
	stack := awscdk.Stack_Of(f.scope)
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": stack.Account()},
			"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
				Service:      jsii.String("cloudwatch"),
				Resource:     jsii.String("alarm"),
				ResourceName: jsii.String("*"),
				ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
			})},
		},
	}))
	if key := topic.MasterKey(); key != nil {
		keypolicy.AllowAlarms(f.scope, key)
	}
}

// topicAction notifies a topic. CDK's own is in a package that pulls in a hundred others.
type topicAction struct{ topic awssns.ITopic }

// Bind implements awscloudwatch.IAlarmAction.
func (a *topicAction) Bind(constructs.Construct, awscloudwatch.IAlarm) *awscloudwatch.AlarmActionConfig {
	return &awscloudwatch.AlarmActionConfig{AlarmActionArn: a.topic.TopicArn()}
}

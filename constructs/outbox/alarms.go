package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// blips is how many failures within five minutes are more than what a retry settles.
const blips = 3

// alarm is one thing that needs a person when its metric reaches the threshold within the minutes.
type alarm struct {
	id          string
	metric      func(*awscloudwatch.MetricOptions) awscloudwatch.Metric
	threshold   float64
	minutes     float64
	description string
}

func (o *TransactionalOutbox) addAlarms() {
	addAlarms(o, o.alarmProps, []alarm{
		{"PipeFailedAlarm", o.MetricPipeFailed, blips, 5, "The pipe fails to deliver events to the bus: see its log group."},
		{"PipeThrottledAlarm", o.MetricPipeThrottled, blips, 5, "The pipe is throttled: events reach the bus late."},
		{"PipeDeadLettersAlarm", o.MetricPipeDeadLetters, 1, 1, "The pipe gave up on stream records: they can be read back from the stream for 24 hours, and from the table."},
		{"RuleDeadLettersAlarm", o.MetricRuleDeadLetters, 1, 1, "A rule could not deliver events to a consumer's queue."},
	})
}

func (c *Consumer) addAlarms() {
	if c.flow.alarmProps == nil {
		return
	}
	tooOld := *c.flow.alarmProps.OldestMessageAge.ToSeconds(nil)
	addAlarms(c, c.flow.alarmProps, []alarm{
		{"DeliveryFailedAlarm", c.MetricDeliveryFailed, 1, 1, "The rule gave up on delivering events to the queue."},
		{"DeliveryLostAlarm", c.MetricDeliveryLost, 1, 1, "The rule could not even use its dead-letter queue: events are lost."},
		{"OldestMessageAlarm", c.MetricOldestMessageAge, tooOld, 1, "The consumer does not keep up, or cannot handle a message."},
		{"DeadLettersAlarm", c.MetricDeadLetters, 1, 1, "The consumer gave up on events: mend it and redrive them."},
		{"ErrorsAlarm", c.MetricErrors, blips, 5, "Invocations of the function fail as a whole."},
		{"ThrottlesAlarm", c.MetricThrottles, blips, 5, "Invocations of the function are throttled."},
	})
}

func addAlarms(scope constructs.Construct, props *AlarmProps, alarms []alarm) {
	if props == nil {
		return
	}
	for _, a := range alarms {
		added := awscloudwatch.NewAlarm(scope, &a.id, &awscloudwatch.AlarmProps{
			Metric:             a.metric(&awscloudwatch.MetricOptions{Period: awscdk.Duration_Minutes(&a.minutes)}),
			Threshold:          &a.threshold,
			EvaluationPeriods:  jsii.Number(1),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			// Several of these metrics exist only while they are not zero.
			TreatMissingData: awscloudwatch.TreatMissingData_NOT_BREACHING,
			AlarmDescription: &a.description,
		})
		if props.Topic != nil {
			action := &topicAction{props.Topic}
			added.AddAlarmAction(action)
			added.AddOkAction(action)
		}
	}
}

// topicAction tells a topic. CDK's own is in a package that pulls in a hundred others.
type topicAction struct{ topic awssns.ITopic }

// Bind implements awscloudwatch.IAlarmAction.
func (a *topicAction) Bind(constructs.Construct, awscloudwatch.IAlarm) *awscloudwatch.AlarmActionConfig {
	return &awscloudwatch.AlarmActionConfig{AlarmActionArn: a.topic.TopicArn()}
}

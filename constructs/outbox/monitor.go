package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Ids of the parts of the monitor.
const (
	heartbeatID             = "Heartbeat"
	heartbeatScheduleID     = "HeartbeatSchedule"
	heartbeatRuleID         = "HeartbeatRule"
	heartbeatQueueID        = "HeartbeatQueue"
	heartbeatMissingAlarmID = "HeartbeatMissingAlarm"
	heartbeatLagAlarmID     = "HeartbeatLagAlarm"
)

// MonitorProps are the settings of the monitor: once a minute a function of the construct commits an event of a source that
// no consumer gets, "orders.heartbeat" for the source "orders", and receives it through stream, pipe, bus, rule and queue. So
// a system that is quiet and one that is dead differ. Each heartbeat is in another partition of the table. With Alarms it adds
//
//	HeartbeatMissingAlarm   no heartbeat has arrived within 5 minutes, or the function does not run
//	HeartbeatLagAlarm       a heartbeat was on its way for longer than MaximumLag
//
// Missing heartbeats are what the first alarm waits for, so it goes off when the stack is created, until the first has
// arrived. The metric is HeartbeatLag in the namespace TransactionalOutbox, see [TransactionalOutbox.MetricHeartbeatLag].
//
// A monitor costs about 0.49 USD a month in us-east-1, 0.30 of which is the metric, and 0.20 for the alarms.
type MonitorProps struct {
	// MaximumLag is how long a heartbeat may take from commit to arrival, 1 minute to 1 hour in whole seconds.
	// Default: 5 minutes.
	MaximumLag awscdk.Duration
}

const (
	defaultMaximumLag = 5 * minute
	// heartbeatRetention is how long a heartbeat stays in the outbox table: longer than the stream keeps its record.
	heartbeatRetention = shortestEventDays * day
	// heartbeatQueueRetention is how long one waits to be counted: a day of silence is alarm enough.
	heartbeatQueueRetention = day
	// heartbeatAggregate is the aggregate type of the events.
	heartbeatAggregate = "Heartbeat"
	// missingMinutes is after how many minutes without a heartbeat the alarm goes off.
	missingMinutes = 5
)

// A monitor is what sends heartbeats through the outbox and receives them.
type monitor struct {
	function   awslambda.Function
	queue      awssqs.Queue
	rule       awsevents.CfnRule
	schedule   awsevents.CfnRule
	maximumLag span
}

// newMonitor adds the monitor.
func (o *TransactionalOutbox) newMonitor(maximumLag span) *monitor {
	m := &monitor{maximumLag: maximumLag}
	m.queue = newQueue(o, heartbeatQueueID, o.encryptionKey, awssqs.QueueProps{
		RetentionPeriod: spanFor(heartbeatQueueRetention).duration,
		RemovalPolicy:   awscdk.RemovalPolicy_DESTROY,
	})
	o.place.registerQueue(m.queue, heartbeatQueueID+" of "+*o.Node().Path())
	m.function = o.newOwnFunction(heartbeatID, heartbeatEntry, 128, minute/2, []variable{
		{envOutboxTable, o.table.TableName()},
		{envOutboxSource, o.heartbeatSource()},
		{envOutboxRetention, spanFor(heartbeatRetention).seconds()},
		{"HEARTBEAT_QUEUE_URL", m.queue.QueueUrl()},
		{"OUTBOX_PATH", o.place.deployed()},
	})
	grantInTransaction(o.table, m.function, []TransactAction{TransactAction_PUT}, leadingKeys{record.PartitionKey(heartbeatAggregate, "*")})
	grantQueue(m.queue, m.function, "sqs:ReceiveMessage", "sqs:DeleteMessage")
	m.rule = o.newHeartbeatRule(m.queue)
	m.schedule = newSchedule(o, heartbeatScheduleID, "Commits a heartbeat a minute and counts those that have arrived", m.function)
	return m
}

func (f *flow) heartbeatSource() *string { return jsii.String(record.HeartbeatSource(*f.source)) }

// newHeartbeatRule sends the heartbeats to their queue, as a consumer's rule sends events.
func (o *TransactionalOutbox) newHeartbeatRule(queue awssqs.IQueue) awsevents.CfnRule {
	rule := o.newRule(o, heartbeatRuleID, map[string]any{"source": &[]*string{o.heartbeatSource()}}, queue)
	o.createBeforePipe(rule)
	return rule
}

// newSchedule invokes a function once a minute.
func newSchedule(scope constructs.Construct, id, about string, function awslambda.Function) awsevents.CfnRule {
	rule := awsevents.NewCfnRule(scope, &id, &awsevents.CfnRuleProps{
		Description:        &about,
		ScheduleExpression: jsii.String("rate(1 minute)"),
		Targets:            []any{&awsevents.CfnRule_TargetProperty{Id: jsii.String("Function"), Arn: function.FunctionArn()}},
	})
	function.AddPermission(jsii.String("Schedule"), &awslambda.Permission{
		Principal: awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil),
		SourceArn: rule.AttrArn(),
	})
	return rule
}

// describe returns what the description of the outbox says of the monitor.
func (m *monitor) describe(o *TransactionalOutbox) *description.Heartbeat {
	if m == nil {
		return nil
	}
	return &description.Heartbeat{
		Function:          *m.function.FunctionName(),
		Source:            *o.heartbeatSource(),
		Queue:             *m.queue.QueueUrl(),
		MaximumLagSeconds: *m.maximumLag.seconds(),
		Schedule:          *m.schedule.Ref(),
		Rule:              *o.nameOf(m.rule),
	}
}

// MetricHeartbeatLag returns the milliseconds from the commit of a heartbeat to its arrival in the monitor's queue. It has no
// datapoints without Monitor. Default: maximum over 5 minutes.
func (o *TransactionalOutbox) MetricHeartbeatLag(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return ownMetric("HeartbeatLag", "Maximum", map[string]*string{"Outbox": o.place.deployed()}, options)
}

// addMonitorAlarms adds the alarms of the monitor.
func (o *TransactionalOutbox) addMonitorAlarms() {
	everyMinute := minutes(1)
	counted := minutes(1)
	counted.Statistic = jsii.String("SampleCount")
	o.newAlarms(o, []alarm{
		{
			id: heartbeatMissingAlarmID, metric: o.MetricHeartbeatLag(counted), threshold: 1,
			comparison: awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD, missingBreaches: true,
			datapoints: missingMinutes, periods: missingMinutes,
			description: "No heartbeat arrives, so events may not either. Run `outbox status` to see where the way is blocked: a stopped pipe, a rule, or the heartbeat's own function. Fix that; the events are in the stream for 24 hours.",
		},
		{
			id: heartbeatLagAlarmID, metric: o.MetricHeartbeatLag(everyMinute), threshold: 1000 * *o.monitor.maximumLag.duration.ToSeconds(nil),
			comparison:  awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
			description: "Heartbeats are late, and so are events. Run `outbox status` and look at the pipe first: is it throttled, or does it try a failing batch again? Fix the reason that its log group names.",
		},
	})
}

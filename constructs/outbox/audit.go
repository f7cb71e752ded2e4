package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Ids of the parts of the audit.
const (
	auditorID               = "Auditor"
	auditScheduleID         = "AuditSchedule"
	auditTableID            = "AuditTable"
	auditQueueID            = "AuditQueue"
	auditDeadLetterQueueID  = "AuditDeadLetterQueue"
	auditMappingID          = "AuditMapping"
	auditedID               = "Audited"
	auditSilentAlarmID      = "AuditSilentAlarm"
	auditDeadLettersAlarmID = "AuditDeadLettersAlarm"
	unconfirmedAlarmID      = "UnconfirmedAlarm"
)

// How the auditor reads the stream. Lambda's reads of a stream are free, and the more records in a batch, the fewer
// invocations. Only their age ends the retries: the function skips a record that it cannot read, so what fails a batch is a
// service that fails, and that ends. What it gives up on after 23 hours is still in the stream for an hour.
// Source: Lambda API reference, CreateEventSourceMapping, MaximumBatchingWindowInSeconds and MaximumRetryAttempts (-1: until
// the record expires).
const (
	auditBatchSize     = 1000
	auditRetryAttempts = -1
	auditRecordAge     = 23 * time.Hour

	auditorMemory  = 256
	auditorTimeout = 5 * minute
	// auditVisibility keeps what one invocation looks at from another.
	auditVisibility = auditorTimeout + minute
)

// An auditor is what looks for the effect of each event.
type auditor struct {
	outbox          *TransactionalOutbox
	props           *auditConfig
	function        awslambda.Function
	table           awsdynamodb.ITable
	queue           awssqs.IQueue
	deadLetterQueue awssqs.IQueue
	mapping         awslambda.CfnEventSourceMapping
	schedule        awsevents.CfnRule
	inboxes         map[string]*inboxGrant
}

// newAuditor adds the auditor. It knows no consumer yet.
func (o *TransactionalOutbox) newAuditor(props *auditConfig) *auditor {
	a := &auditor{outbox: o, props: props, inboxes: map[string]*inboxGrant{}}
	a.table = newTable(o, auditTableID, keepSettings{encryptionKey: o.encryptionKey, removalPolicy: o.removalPolicy}, awsdynamodb.TableProps{SortKey: textKey(record.AttrSK)})
	a.queue = newQueue(o, auditQueueID, o.encryptionKey, awssqs.QueueProps{
		RetentionPeriod:   spanFor(longestRetention).duration,
		VisibilityTimeout: spanFor(auditVisibility).duration,
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY,
	})
	o.place.registerQueue(a.queue, auditQueueID+" of "+*o.Node().Path())
	a.deadLetterQueue = o.newDeadLetterQueue(o, auditDeadLetterQueueID)
	a.function = o.newOwnFunction(auditorID, auditorEntry, auditorMemory, auditorTimeout, []variable{
		{"AUDIT_PARAMETERS", o.parameterPath()}, // where it finds everything else
	})
	a.mapping = a.newMapping()
	a.schedule = newSchedule(o, auditScheduleID, "Looks for the effects of events once a minute", a.function)
	return a
}

func (a *auditor) repairs() bool { return a.props.perMinute != nil }

// newMapping gives the function the events of the outbox's own source, straight from the stream: it depends on neither pipe
// nor bus nor queues. One record that it cannot handle does not hold up the others.
// Source: Lambda developer guide, services-ddb-params.
func (a *auditor) newMapping() awslambda.CfnEventSourceMapping {
	mapping := awslambda.NewCfnEventSourceMapping(a.outbox, jsii.String(auditMappingID), &awslambda.CfnEventSourceMappingProps{
		FunctionName:                   a.function.FunctionName(),
		EventSourceArn:                 a.outbox.table.TableStreamArn(),
		StartingPosition:               jsii.String(string(awslambda.StartingPosition_TRIM_HORIZON)),
		BatchSize:                      jsii.Number(auditBatchSize),
		MaximumBatchingWindowInSeconds: jsii.Number(description.StreamWindow(a.props.confirmWithin.length).Seconds()),
		MaximumRetryAttempts:           jsii.Number(auditRetryAttempts),
		MaximumRecordAgeInSeconds:      jsii.Number(auditRecordAge.Seconds()),
		BisectBatchOnFunctionError:     true,
		FunctionResponseTypes:          jsii.Strings("ReportBatchItemFailures"),
		FilterCriteria: &awslambda.CfnEventSourceMapping_FilterCriteriaProperty{
			Filters: []any{&awslambda.CfnEventSourceMapping_FilterProperty{Pattern: jsii.String(newEventsOf(*a.outbox.source))}},
		},
		DestinationConfig: &awslambda.CfnEventSourceMapping_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventSourceMapping_OnFailureProperty{Destination: a.deadLetterQueue.QueueArn()},
		},
	})
	// CloudFormation must not create it before the function may read the stream.
	a.grant().ApplyBefore(mapping)
	return mapping
}

// beginAfter makes the auditor begin when a consumer's description is there: what it read before, it would never look for.
func (a *auditor) beginAfter(description awsssm.CfnParameter) {
	if a == nil {
		return
	}
	a.mapping.Node().AddDependency(description)
	a.schedule.Node().AddDependency(description)
}

// readAfter makes the auditor read the stream when the outbox's own description is there. That names the schedule, which
// therefore comes before it, and whose runs find nothing to do until the stream was read.
func (a *auditor) readAfter(description awsssm.CfnParameter) {
	if a != nil {
		a.mapping.Node().AddDependency(description)
	}
}

// beAudited makes the auditor look for the effects of the consumer.
func (c *Consumer) beAudited(config *consumerConfig) {
	a := c.flow.auditor
	if a == nil {
		return
	}
	a.beginAfter(c.description)
	if config.Inbox != Inbox_TABLE {
		warn(c, "unaudited", "the audit cannot tell what "+config.at.path()+" has done with its events, because it has no inbox: nobody learns of an event that it misses")
		return
	}
	a.grantInbox(c.flow.inboxTable, *config.Name, config.ordered())
	a.grantQueues(c.queue, c.deadLetterQueue)
	a.addConsumerAlarms(c, *config.Name)
}

// describe returns what the description of the outbox says of the audit.
func (a *auditor) describe() *description.Audit {
	if a == nil {
		return nil
	}
	return &description.Audit{
		Function:             *a.function.FunctionName(),
		Table:                *a.table.TableName(),
		Pending:              *a.queue.QueueUrl(),
		DeadLetterQueue:      *a.deadLetterQueue.QueueUrl(),
		ConfirmWithinSeconds: *a.props.confirmWithin.seconds(),
		AlarmAfterSeconds:    *a.props.alarmAfter.seconds(),
		RepairPerMinute:      numberText(a.props.perMinute),
		Schedule:             *a.schedule.Ref(),
	}
}

// metricAuditRuns returns how many runs of the auditor did all that was due.
func (o *TransactionalOutbox) metricAuditRuns(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return ownMetric("AuditRuns", "Sum", map[string]*string{"Outbox": o.place.deployed()}, options)
}

// auditMetric returns a metric that the auditor emits for a consumer.
func (f *flow) auditMetric(name, statistic, consumer string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return ownMetric(name, statistic, map[string]*string{"Outbox": f.place.deployed(), "Consumer": &consumer}, options)
}

// silentMinutes is after how many minutes without a run of the auditor the alarm goes off.
const silentMinutes = 15

// addAlarms adds the alarms of the auditor itself.
func (a *auditor) addAlarms() {
	a.outbox.newAlarms(a.outbox, []alarm{
		{
			id: auditSilentAlarmID, metric: a.outbox.metricAuditRuns(minutes(silentMinutes)), threshold: 1,
			comparison: awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD, missingBreaches: true,
			description: "The auditor has done no whole run for 15 minutes, so an event without an effect stays unseen. Run `outbox status`, read the auditor's log and fix the reason. What it did not look at yet waits for it.",
		},
		{
			id: auditDeadLettersAlarmID, metric: a.deadLetterQueue.MetricApproximateNumberOfMessagesVisible(minutes(1)), threshold: 1,
			description: "The auditor gave up on records of the stream or cannot read them, and does not look for the effects of their events. Read its log and fix the reason, then run `outbox audit --full`, which finds what has no effect, and delete the messages.",
		},
	})
}

// addConsumerAlarms adds the alarm of one consumer, below the scope.
func (a *auditor) addConsumerAlarms(scope constructs.Construct, consumer string) {
	if a.outbox.alarmProps == nil {
		return
	}
	a.outbox.newAlarms(scope, []alarm{{
		id: unconfirmedAlarmID, metric: a.outbox.auditMetric("OldestUnconfirmed", "Maximum", consumer, minutes(1)),
		threshold: a.props.alarmAfter.length.Seconds(), comparison: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		description: "An event has had no effect at this consumer for too long. Run `outbox audit` to see which, and `outbox trace EVENT` to see where it is. Fix the reason; what is in no queue any more, `outbox repair` sends to this consumer again.",
	}})
}

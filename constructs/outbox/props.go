package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TransactionalOutboxProps are the properties of a TransactionalOutbox.
type TransactionalOutboxProps struct {
	// Source is the name under which this application's events are on the bus, for example "orders". It
	// is what consumers match unless they name other sources, so that a consumer never gets another
	// application's events by accident. 1 to 256 characters, not beginning with "aws.". Required.
	Source *string

	// Table is an existing table to use as outbox. It needs the string keys pk and sk and a stream with
	// new images. Business items may live in it too: the pipe lets through only new items whose recordType
	// is "outbox.event". Give it the TTL attribute expiresAt, or delete old events yourself.
	// Default: a table is created, on demand, with a stream and TTL.
	Table awsdynamodb.ITable
	// InboxTable is an existing table in which consumers remember the events that they have handled. Its
	// only key is the string pk. Give it the TTL attribute expiresAt, or delete old items yourself.
	// Default: a table is created with the first consumer that has an inbox, on demand, with TTL.
	InboxTable awsdynamodb.ITable
	// EventRetention is how long an event stays in the outbox table after it was written, in whole days from
	// 2 to 3650. It must outlast the stream's 24 hours, because what the pipe could not deliver is nowhere
	// else then: its dead-letter queue keeps a record's position for 14 days, but not the record. Functions
	// of this app get it with GrantWrite, other writers ask the construct. A change counts for what is
	// written from then on.
	// Default: 7 days.
	EventRetention awscdk.Duration
	// DeletionProtection keeps the outbox table, and an inbox table that is created, from being deleted.
	// Default: no protection.
	DeletionProtection *bool
	// PointInTimeRecovery keeps continuous backups of these tables for 35 days.
	// Default: no backups.
	PointInTimeRecovery *bool
	// RemovalPolicy decides what happens to everything that holds events or remembers them when it leaves the stack: these
	// tables, the bus, its archive, the dead-letter queues and the log groups. A bus that was kept still has its name: delete
	// it, or bring it as EventBus, before you deploy a stack of the same name again.
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy

	// EventBus is an existing bus to publish on.
	// Default: a bus is created.
	EventBus awsevents.IEventBus
	// ArchiveRetention keeps everything on the bus that long for replay, in whole days from 1 to 3650.
	// Default: no archive.
	ArchiveRetention awscdk.Duration

	// StartingPosition of the pipe in the stream. Only TRIM_HORIZON is accepted: LATEST loses what is
	// written while the pipe is being created or replaced.
	// Default: TRIM_HORIZON.
	StartingPosition awslambda.StartingPosition
	// MaximumRecordAge is how long the pipe tries to deliver a record, 1 minute to less than 24 hours. The
	// message in the pipe's dead-letter queue holds only the record's position, so the record must still
	// be in the stream, which keeps it for 24 hours, when someone looks.
	// Default: 20 hours, so that a pipe that was stopped for a working day catches up by itself.
	MaximumRecordAge awscdk.Duration
	// MaximumRetryAttempts is how often the pipe tries a failing batch again, 0 to 10000. It is never
	// infinite: one poison record must not block its shard for a day.
	// Default: 20.
	MaximumRetryAttempts *float64
	// MaximumBatchingWindow is how long the pipe waits for a batch to fill, 0 to 300 seconds.
	// Default: it does not wait.
	MaximumBatchingWindow awscdk.Duration
	// ParallelizationFactor is how many batches of one shard the pipe handles at once, 1 to 10. Events of
	// one item stay in order.
	// Default: 1.
	ParallelizationFactor *float64

	// EncryptionKey encrypts the table, the bus, the archive, the queues, the log groups and the functions'
	// environment. The key's policy gets what CloudWatch Logs and EventBridge need; for an imported key
	// the synthesis warns and shows the statements that its owner must add. The pipe itself stores no
	// events. Do not disable the key while events are on their way: the dead-letter queues need it too.
	// Default: keys that AWS owns or manages.
	EncryptionKey awskms.IKey
	// LogRetention of the pipe's and the functions' log groups.
	// Default: one month.
	LogRetention awslogs.RetentionDays
	// Alarms adds alarms to the outbox and each of its consumers.
	// Default: no alarms.
	Alarms *AlarmProps
}

// AlarmProps say what the alarms do. Each watches for something that needs a person:
//
//	PipeFailedAlarm, PipeThrottledAlarm   3 executions within 5 minutes
//	PipeDeadLettersAlarm                  1 message in the pipe's dead-letter queue
//	RuleDeadLettersAlarm                  1 message in the rules' dead-letter queue
//
// and for each consumer:
//
//	DeliveryFailedAlarm                   1 event that the rule gave up on
//	DeliveryLostAlarm                     1 event that the rule could not even put into its dead-letter queue
//	OldestMessageAlarm                    a message in the queue as old as OldestMessageAge
//	DeadLettersAlarm                      1 message in the dead-letter queue
//	ErrorsAlarm, ThrottlesAlarm           3 invocations within 5 minutes
type AlarmProps struct {
	// Topic is told when an alarm goes off, and when it is over.
	// Default: the alarms show in CloudWatch and tell nobody.
	Topic awssns.ITopic
	// OldestMessageAge is how old the oldest message of a consumer's queue may become, 1 minute or more.
	// Default: 15 minutes.
	OldestMessageAge awscdk.Duration
}

// The defaults of an outbox, and what bounds its settings.
const (
	defaultRecordAgeHours   = 20
	defaultRetryAttempts    = 20
	defaultOldestAgeMinutes = 15

	// pipeBatchSize is the most records that a pipe can give to an event bus at once.
	// Source: EventBridge user guide, eb-pipes-batching-concurrency.
	pipeBatchSize = 10

	// An event must outlast its record in the stream, which is there for 24 hours: one day would end together
	// with it. The most is as for the archive.
	// Source: DynamoDB developer guide, Streams.
	shortestEventDays = 2
	longestEventDays  = 3650
)

// withDefaults is a copy of the properties in which every setting that has a default has a value.
func (p TransactionalOutboxProps) withDefaults() TransactionalOutboxProps {
	p.EventRetention = eventRetention(p.EventRetention)
	if p.StartingPosition == "" {
		p.StartingPosition = awslambda.StartingPosition_TRIM_HORIZON
	}
	if p.MaximumRecordAge == nil {
		p.MaximumRecordAge = awscdk.Duration_Hours(jsii.Number(defaultRecordAgeHours))
	}
	if p.MaximumRetryAttempts == nil {
		p.MaximumRetryAttempts = jsii.Number(defaultRetryAttempts)
	}
	if p.RemovalPolicy == "" {
		p.RemovalPolicy = awscdk.RemovalPolicy_RETAIN
	}
	if p.LogRetention == "" {
		p.LogRetention = awslogs.RetentionDays_ONE_MONTH
	}
	p.Alarms = p.Alarms.withDefaults()
	return p
}

// eventRetention is the given one, or the default that functions have without the construct, too.
func eventRetention(given awscdk.Duration) awscdk.Duration {
	if given == nil {
		return awscdk.Duration_Seconds(jsii.Number(record.DefaultRetention.Seconds()))
	}
	return given
}

func (p *AlarmProps) withDefaults() *AlarmProps {
	if p == nil || p.OldestMessageAge != nil {
		return p
	}
	return &AlarmProps{
		Topic:            p.Topic,
		OldestMessageAge: awscdk.Duration_Minutes(jsii.Number(defaultOldestAgeMinutes)),
	}
}

// check finds everything that is wrong with the properties.
func (p TransactionalOutboxProps) check() *problems {
	var found problems
	found.source(p.Source)
	found.eventRetention(p.EventRetention)
	found.exclusive("Table", p.Table != nil, map[string]bool{
		"DeletionProtection":  p.DeletionProtection != nil,
		"PointInTimeRecovery": p.PointInTimeRecovery != nil,
	})
	if p.Table != nil {
		found.outboxTable(p.Table)
	}
	if p.InboxTable != nil {
		found.inboxTable(p.InboxTable)
	}
	if p.StartingPosition != "" && p.StartingPosition != awslambda.StartingPosition_TRIM_HORIZON {
		found.add("StartingPosition is %s, only TRIM_HORIZON is allowed: anything else loses what is written while the pipe is being created or replaced", p.StartingPosition)
	}
	found.duration("MaximumRecordAge", p.MaximumRecordAge, minute, day-second)
	found.number("MaximumRetryAttempts", p.MaximumRetryAttempts, 0, 10000)
	found.duration("MaximumBatchingWindow", p.MaximumBatchingWindow, 0, 300*second)
	found.number("ParallelizationFactor", p.ParallelizationFactor, 1, 10)
	found.days("ArchiveRetention", p.ArchiveRetention, 1, 3650)
	found.alarms(p.Alarms)
	return &found
}

// source checks the source of an outbox's events.
func (f *problems) source(source *string) {
	if source == nil {
		f.add("Source is missing: the name under which this application's events are on the bus")
		return
	}
	f.text("Source", source, record.MaxSource)
	f.notFromAWS("Source", source)
}

// eventRetention checks how long events stay in the outbox table.
func (f *problems) eventRetention(retention awscdk.Duration) {
	f.days("EventRetention", retention, shortestEventDays, longestEventDays)
}

func (f *problems) alarms(p *AlarmProps) {
	if p != nil {
		f.duration("Alarms.OldestMessageAge", p.OldestMessageAge, minute, 14*day)
	}
}

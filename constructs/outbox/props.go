package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TransactionalOutboxProps are the properties of a [TransactionalOutbox].
type TransactionalOutboxProps struct {
	// Source is the name under which this application's events are on the bus, for example "orders". It
	// is what consumers match unless they name other sources, so that a consumer never gets another
	// application's events by accident. 1 to 256 characters, not beginning with "aws.", without '#'. Required.
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
	// 2 to 3650. It must outlast the stream's 24 hours: what the pipe could not deliver is in the table only
	// after that, because the pipe's dead-letter queue keeps a record's position, and not the record. Consumers
	// remember what they have handled for as long as it can be sent again from the table. Functions of this
	// app get it with GrantWrite; other writers take it from EventRetention of the construct. A change counts
	// for what is written from then on.
	// Default: 7 days.
	EventRetention awscdk.Duration
	// DeletionProtection keeps the tables that are created here, outbox and inbox, from being deleted.
	// Must not be set where both are supplied.
	// Default: no protection.
	DeletionProtection *bool
	// PointInTimeRecovery keeps continuous backups of these tables for 35 days. Must not be set where both are
	// supplied.
	// Default: no backups.
	PointInTimeRecovery *bool
	// RemovalPolicy decides what happens to everything that holds events or remembers them when it leaves the stack: these
	// tables, the bus, its archive, the dead-letter queues and the log groups. A bus that was kept still has its name: delete
	// it, or bring it as EventBus, before you deploy a stack of the same name again. A consumer's own queue always goes with the
	// stack: see that it is empty first.
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy

	// EventBus is an existing bus to publish on, in the account and region of this stack.
	// Default: a bus is created, and named after the stack and the outbox.
	EventBus awsevents.IEventBus
	// ArchiveRetention keeps everything on the bus that long for replay, in whole days from 1 to 3650; 0 is for
	// no archive. Consumers remember what they have handled for as long as it can be replayed. Archives that the
	// app adds itself, to the outbox's own bus or to a supplied one, are not counted: where one keeps events
	// longer, set the consumers' InboxTTL.
	// Default: no archive. Consumers of a supplied bus then count with one of 3650 days, because its archives
	// are not known here; 0 says that it has none.
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

	// EncryptionKey, of the stack's region, encrypts the table, the bus, the archive, the queues, the log groups and the functions'
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

	// Monitor sends a heartbeat through the outbox once a minute, so that a quiet system and a dead one differ. Set Alarms, too,
	// or nobody learns of it.
	// Default: no monitor.
	Monitor *MonitorProps
	// Audit looks for the effect of every event at every consumer that has an inbox, whatever becomes of pipe, rules and
	// queues. Set Alarms, too. With a supplied Table, see that nothing but the pipe reads its stream.
	// Default: no audit.
	Audit *AuditProps
	// Dashboard adds a CloudWatch dashboard with what there is to see of the outbox and all its consumers, in the order in which
	// events flow. AWS charges 3 USD a month for each dashboard after the third of an account.
	// Default: false.
	Dashboard *bool
}

// AlarmProps are the settings of the alarms. Each alarm watches for something that needs a person, and its description is what
// to do, at length in docs/operations.md:
//
//	PipeFailedAlarm, PipeThrottledAlarm   3 executions within 5 minutes
//	PipeDeadLettersAlarm                  1 message in the pipe's dead-letter queue
//	PipeSilentAlarm                       half an hour after a write to the outbox table without any pipe event
//	RuleDeadLettersAlarm                  1 message in the rules' dead-letter queue
//
// and for each consumer:
//
//	DeliveryFailedAlarm                   1 event that the rule gave up on
//	DeliveryLostAlarm                     1 event that the rule could not even put into its dead-letter queue
//	OldestMessageAlarm                    a message in the queue as old as OldestMessageAge
//	DeadLettersAlarm                      1 message in the dead-letter queue
//	ErrorsAlarm, ThrottlesAlarm           3 invocations within 5 minutes
//
// A pipe that was stopped or disabled has no metrics, so PipeSilentAlarm compares it with the writes to the table within the
// last hour. Events shortly before that hour delay it, because CloudWatch retrieves more datapoints than an alarm looks at.
// There is none for a supplied Table, where nobody can tell the events among the writes. It cannot tell events from
// transactions that a condition refused either: in an hour in which nothing happens but clients that repeat old requests, or
// items being deleted by hand, it goes off without need. Without any write it stays silent.
type AlarmProps struct {
	// Topic, in the stack's region, is notified when an alarm goes off, and when it is over. A topic of this app, and the
	// key that encrypts it, get a policy that lets all CloudWatch alarms of the account and Region publish; a policy takes
	// the place of the topic's default one, so other services that publish to it need a statement of their own. The policy
	// of an imported topic is left alone: where its owner has replaced the default one, it must allow
	// cloudwatch.amazonaws.com sns:Publish.
	// Default: the alarms show in CloudWatch and notify nobody. Set a topic wherever people rely on the outbox.
	Topic awssns.ITopic
	// OldestMessageAge is how old the oldest message of a consumer's queue may become, 1 minute to 14 days.
	// Default: 15 minutes.
	OldestMessageAge awscdk.Duration
}

// The defaults of an outbox, and what bounds its settings.
const (
	defaultRecordAge  = 20 * time.Hour
	defaultAttempts   = 20
	defaultOldestAge  = 15 * minute
	defaultLogKeeping = awslogs.RetentionDays_ONE_MONTH

	// pipeBatchSize is the most records that a pipe can give to an event bus at once.
	// Source: EventBridge user guide, eb-pipes-batching-concurrency.
	pipeBatchSize = 10

	// An event must outlast its record in the stream, which is there for 24 hours: one day would end together
	// with it. The most is as for the archive.
	// Source: DynamoDB developer guide, Streams.
	shortestEventDays = 2
	longestDays       = 3650
)

// outboxConfig is a copy of the properties in which every setting that has a default has a value.
type outboxConfig struct {
	TransactionalOutboxProps
	eventRetention, archiveRetention, recordAge, batchingWindow, maximumLag span

	audit *auditConfig // nil without Audit
}

func (p TransactionalOutboxProps) withDefaults() outboxConfig {
	c := outboxConfig{
		TransactionalOutboxProps: p,
		eventRetention:           orDefaultRetention(spanOf(p.EventRetention)),
		archiveRetention:         spanOf(p.ArchiveRetention),
		recordAge:                spanOf(p.MaximumRecordAge),
		batchingWindow:           spanOf(p.MaximumBatchingWindow),
	}
	if !c.recordAge.given() {
		c.recordAge = spanFor(defaultRecordAge)
		c.MaximumRecordAge = c.recordAge.duration
	}
	if c.StartingPosition == "" {
		c.StartingPosition = awslambda.StartingPosition_TRIM_HORIZON
	}
	c.MaximumRetryAttempts = orDefault(c.MaximumRetryAttempts, defaultAttempts)
	if c.RemovalPolicy == "" {
		c.RemovalPolicy = awscdk.RemovalPolicy_RETAIN
	}
	if c.LogRetention == "" {
		c.LogRetention = defaultLogKeeping
	}
	c.Alarms = c.Alarms.withDefaults()
	if c.Monitor != nil {
		c.maximumLag = spanOf(c.Monitor.MaximumLag)
	}
	if !c.maximumLag.given() {
		c.maximumLag = spanFor(defaultMaximumLag)
	}
	c.audit = c.Audit.withDefaults()
	return c
}

func orDefault(value *float64, byDefault float64) *float64 {
	if value == nil {
		return &byDefault
	}
	return value
}

// orDefaultRetention returns the given retention, or the default, which functions have without the construct, too.
func orDefaultRetention(given span) span {
	if given.given() {
		return given
	}
	return spanFor(record.DefaultRetention)
}

func (p *AlarmProps) withDefaults() *AlarmProps {
	if p == nil || p.OldestMessageAge != nil {
		return p
	}
	return &AlarmProps{Topic: p.Topic, OldestMessageAge: spanFor(defaultOldestAge).duration}
}

// archives reports whether the outbox has an archive. Zero days are for none.
func (c outboxConfig) archives() bool {
	return c.archiveRetention.given() && (!c.archiveRetention.known || c.archiveRetention.length > 0)
}

// check finds everything that is wrong with the settings.
func (c outboxConfig) check(found *problems) {
	found.source(c.Source)
	found.days("EventRetention", c.eventRetention, shortestEventDays)
	found.exclusive("Table and InboxTable", c.Table != nil && c.InboxTable != nil, map[string]bool{
		"DeletionProtection":  c.DeletionProtection != nil,
		"PointInTimeRecovery": c.PointInTimeRecovery != nil,
	})
	if c.Table != nil {
		found.outboxTable(c.Table)
	}
	if c.InboxTable != nil {
		found.inboxTable(c.InboxTable)
	}
	if c.StartingPosition != awslambda.StartingPosition_TRIM_HORIZON {
		found.add("StartingPosition must be TRIM_HORIZON, got %s: anything else loses what is written while the pipe is being created or replaced", c.StartingPosition)
	}
	found.duration("MaximumRecordAge", c.recordAge, minute, day-second)
	found.number("MaximumRetryAttempts", c.MaximumRetryAttempts, 0, 10000)
	found.duration("MaximumBatchingWindow", c.batchingWindow, 0, 300*second)
	found.number("ParallelizationFactor", c.ParallelizationFactor, 1, 10)
	found.days("ArchiveRetention", c.archiveRetention, 0)
	found.alarms(c.Alarms)
	found.monitor(c)
}

// longestMaximumLag is how late heartbeats may be at most without an alarm.
const longestMaximumLag = time.Hour

// monitor checks what heartbeats need.
func (f *problems) monitor(c outboxConfig) {
	if c.Monitor == nil {
		return
	}
	f.knownDuration("Monitor.MaximumLag", c.maximumLag, minute, longestMaximumLag)
	if c.Source != nil && len(*c.Source) <= record.MaxSource && len(record.HeartbeatSource(*c.Source)) > record.MaxSource {
		f.add("Source must have at most %d bytes with Monitor, whose heartbeats have a longer one, got %d", record.MaxSource-len(record.HeartbeatSource("")), len(*c.Source))
	}
}

// source checks the source of an outbox's events.
func (f *problems) source(source *string) {
	if source == nil {
		f.add("Source is missing: the name under which this application's events are on the bus")
		return
	}
	f.keyPart("Source", source, record.MaxSource)
	f.notFromAWS("Source", source)
}

func (f *problems) alarms(p *AlarmProps) {
	if p != nil {
		f.duration("Alarms.OldestMessageAge", spanOf(p.OldestMessageAge), minute, 14*day)
	}
}

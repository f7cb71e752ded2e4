package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
)

// TransactionalOutboxAttributes describe an outbox that another stack or another app has deployed.
type TransactionalOutboxAttributes struct {
	// Source that consumers match unless they name others: the outbox's own. Required.
	Source *string
	// EventBus that the events are on. Required.
	EventBus awsevents.IEventBus
	// Table for GrantWrite.
	// Default: nobody can be granted to write.
	Table awsdynamodb.ITable
	// EventRetention is how long an event that is written from here stays in the outbox table, in whole days
	// from 2 to 3650: the outbox's own.
	// Default: 7 days, as for an outbox.
	EventRetention awscdk.Duration
	// InboxTable is an existing table in which the consumers remember the events that they have handled.
	// Its only key is the string pk. Give it the TTL attribute expiresAt, or delete old items yourself.
	// Default: a table is created here with the first consumer that has an inbox.
	InboxTable awsdynamodb.ITable
	// ArchiveRetention is how long an archive of the bus keeps events: consumers remember what they have
	// handled at least as long.
	// Default: the bus has no archive.
	ArchiveRetention awscdk.Duration
	// EncryptionKey for what consumers add here: inbox table, queues, log groups, the functions' environment.
	// Default: keys that AWS owns or manages.
	EncryptionKey awskms.IKey
	// RemovalPolicy of the inbox table, the dead-letter queues and the functions' log groups.
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy
	// LogRetention of the functions' log groups.
	// Default: one month.
	LogRetention awslogs.RetentionDays
	// Alarms adds alarms to the consumers.
	// Default: no alarms.
	Alarms *AlarmProps
}

// ImportedOutbox is an outbox that is deployed elsewhere. Consumers can be added to it here, with a
// dead-letter queue of their own for what the rules cannot deliver.
type ImportedOutbox struct {
	constructs.Construct
	flow
}

// TransactionalOutbox_FromAttributes imports an outbox. Its pipe already runs, so a consumer added here
// gets what is written after its rule exists.
func TransactionalOutbox_FromAttributes(scope constructs.Construct, id *string, attrs *TransactionalOutboxAttributes) *ImportedOutbox {
	if attrs == nil {
		attrs = &TransactionalOutboxAttributes{}
	}
	var found problems
	found.source(attrs.Source)
	if attrs.EventBus == nil {
		found.add("EventBus is missing: the bus that the outbox's events are on")
	}
	if attrs.InboxTable != nil {
		found.inboxTable(attrs.InboxTable)
	}
	found.eventRetention(attrs.EventRetention)
	found.days("ArchiveRetention", attrs.ArchiveRetention, 1, 3650)
	found.alarms(attrs.Alarms)
	found.refuse("imported outbox", id)

	o := &ImportedOutbox{flow: flow{
		source:         attrs.Source,
		table:          attrs.Table,
		eventRetention: eventRetention(attrs.EventRetention),
		inboxTable:     attrs.InboxTable,
		eventBus:       attrs.EventBus,
		tableSettings: tableSettings{
			encryptionKey: attrs.EncryptionKey,
			removalPolicy: attrs.RemovalPolicy,
		},
		logRetention: attrs.LogRetention,
		alarmProps:   attrs.Alarms.withDefaults(),
	}}
	o.archived, _ = length(attrs.ArchiveRetention)
	o.attachTo(o, scope, id)
	return o
}

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
	// EventBus that the events are on, in the account and region of this stack. Required.
	EventBus awsevents.IEventBus
	// Table for GrantWrite.
	// Default: nobody can be granted to write.
	Table awsdynamodb.ITable
	// EventRetention is how long an event stays in the outbox table, in whole days from 2 to 3650: the
	// outbox's own. What is written from here gets it too, and consumers remember what they have handled for
	// as long as it can be sent again from the table.
	// Default: what is written from here stays for 7 days, as for an outbox; consumers count with 3650 days,
	// because how long others keep their events is not known here.
	EventRetention awscdk.Duration
	// InboxTable is an existing table in which the consumers remember the events that they have handled.
	// Its only key is the string pk. Give it the TTL attribute expiresAt, or delete old items yourself.
	// Default: a table is created here with the first consumer that has an inbox.
	InboxTable awsdynamodb.ITable
	// ArchiveRetention is how long archives of the bus keep events, in whole days from 0, which is for a bus
	// without archives, to 3650. Consumers remember what they have handled for as long as it can be replayed.
	// Default: consumers count with 3650 days, because the archives of the bus are not known here.
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

// An importedOutbox is an outbox that is deployed elsewhere. Consumers can be added to it here, with a
// dead-letter queue of their own for what the rules cannot deliver.
type importedOutbox struct {
	constructs.Construct
	flow
}

// TransactionalOutbox_FromAttributes imports an outbox that another stack or another app has deployed. Its
// pipe already runs, so a consumer added here gets what is written after its rule exists. Consumers have a
// dead-letter queue of their own here for what the rules cannot deliver. It panics, before anything is added,
// with all that is wrong with the attributes.
func TransactionalOutbox_FromAttributes(scope constructs.Construct, id *string, attrs *TransactionalOutboxAttributes) ITransactionalOutbox {
	if attrs == nil {
		attrs = &TransactionalOutboxAttributes{}
	}
	told, archives := spanOf(attrs.EventRetention), spanOf(attrs.ArchiveRetention)
	alarms := attrs.Alarms.withDefaults()
	var found problems
	found.id(id)
	found.source(attrs.Source)
	if attrs.EventBus == nil {
		found.add("EventBus is missing: the bus that the outbox's events are on")
	}
	if attrs.InboxTable != nil {
		found.inboxTable(attrs.InboxTable)
	}
	found.days("EventRetention", told, shortestEventDays)
	found.days("ArchiveRetention", archives, 0)
	found.alarms(alarms)
	at := placeOf(scope, id)
	found.suppliedHere(at.stack, attrs.EventBus, attrs.Table, attrs.InboxTable, attrs.EncryptionKey, alarms)
	found.refuse("imported outbox", id)

	o := &importedOutbox{flow: flow{
		place:          at,
		source:         attrs.Source,
		table:          attrs.Table,
		eventRetention: orDefaultRetention(told),
		replayable:     replayable(told, archives, true),
		inboxTable:     attrs.InboxTable,
		eventBus:       attrs.EventBus,
		keepSettings: keepSettings{
			encryptionKey: attrs.EncryptionKey,
			removalPolicy: attrs.RemovalPolicy,
		},
		logRetention: attrs.LogRetention,
		alarmProps:   alarms,
	}}
	o.attachTo(o, scope, id)
	return o
}

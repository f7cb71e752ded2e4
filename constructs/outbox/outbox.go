package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awspipes"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
)

// Ids of the constructs inside an outbox. They are part of the contract: a change replaces the
// resources of deployed stacks, the table with its events among them.
const (
	tableID               = "Table"
	inboxTableID          = "InboxTable"
	eventBusID            = "EventBus"
	archiveID             = "Archive"
	pipeID                = "Pipe"
	pipeRoleID            = "PipeRole"
	pipeLogGroupID        = "PipeLogGroup"
	pipeDeadLetterQueueID = "PipeDeadLetterQueue"
	ruleDeadLetterQueueID = "RuleDeadLetterQueue"
)

// ownIDs are not free for consumers, not even while an outbox has no such part.
var ownIDs = []string{
	tableID, inboxTableID, eventBusID, archiveID,
	pipeID, pipeRoleID, pipeLogGroupID, pipeDeadLetterQueueID, ruleDeadLetterQueueID,
}

// TransactionalOutbox is a table for events and the way from it to a bus. See the package documentation.
type TransactionalOutbox struct {
	constructs.Construct
	flow

	pipeDeadLetterQueue awssqs.IQueue
	archive             awsevents.CfnArchive
}

// NewTransactionalOutbox adds an outbox to a stack. What is wrong with the properties is told in one
// panic, before anything is added.
func NewTransactionalOutbox(scope constructs.Construct, id *string, props *TransactionalOutboxProps) *TransactionalOutbox {
	if props == nil {
		props = &TransactionalOutboxProps{}
	}
	props.check().refuse("transactional outbox", id)
	p := props.withDefaults()

	o := &TransactionalOutbox{flow: flow{
		source:         p.Source,
		table:          p.Table,
		eventRetention: p.EventRetention,
		inboxTable:     p.InboxTable,
		eventBus:       p.EventBus,
		tableSettings: tableSettings{
			encryptionKey:       p.EncryptionKey,
			removalPolicy:       p.RemovalPolicy,
			deletionProtection:  p.DeletionProtection,
			pointInTimeRecovery: p.PointInTimeRecovery,
		},
		logRetention: p.LogRetention,
		alarmProps:   p.Alarms,
	}}
	o.archived, _ = length(p.ArchiveRetention)
	o.attachTo(o, scope, id)
	if o.table == nil {
		o.table = newOutboxTable(o, o.tableSettings)
	}
	o.ruleDeadLetterQueue = o.newDeadLetterQueue(o, ruleDeadLetterQueueID)
	if o.eventBus == nil {
		o.eventBus = newEventBus(&o.flow)
	}
	if p.ArchiveRetention != nil {
		o.archive = newArchive(&o.flow, p)
	}
	o.pipeDeadLetterQueue = o.newDeadLetterQueue(o, pipeDeadLetterQueueID)
	o.pipe = newPipe(&o.flow, o.pipeDeadLetterQueue, p)
	o.addAlarms()
	return o
}

// Pipe carries the events from the table's stream to the bus.
func (o *TransactionalOutbox) Pipe() awspipes.CfnPipe { return o.pipe }

// PipeDeadLetterQueue takes the positions of stream records that the pipe could not deliver.
func (o *TransactionalOutbox) PipeDeadLetterQueue() awssqs.IQueue { return o.pipeDeadLetterQueue }

// Archive is the archive of the bus, or nil without one.
func (o *TransactionalOutbox) Archive() awsevents.CfnArchive { return o.archive }

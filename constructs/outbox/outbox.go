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
	descriptionID         = "Description"
	dashboardID           = "Dashboard"
)

// ownIDs are not free for consumers, not even while an outbox has no such part.
var ownIDs = []string{
	tableID, inboxTableID, eventBusID, archiveID,
	pipeID, pipeRoleID, pipeLogGroupID, pipeDeadLetterQueueID, ruleDeadLetterQueueID, descriptionID,
	pipeFailedAlarmID, pipeThrottledAlarmID, pipeSilentAlarmID, pipeDeadLettersAlarmID, ruleDeadLettersAlarmID,
	heartbeatID, heartbeatScheduleID, heartbeatRuleID, heartbeatQueueID, heartbeatMissingAlarmID, heartbeatLagAlarmID,
	auditorID, auditScheduleID, auditTableID, auditQueueID, auditDeadLetterQueueID, auditMappingID, auditedID, auditSilentAlarmID, auditDeadLettersAlarmID,
	dashboardID,
}

// A TransactionalOutbox is a table for events and the way from it to a bus. See the package documentation.
type TransactionalOutbox struct {
	constructs.Construct
	flow

	pipeDeadLetterQueue awssqs.IQueue
	archive             awsevents.CfnArchive
	monitor             *monitor // nil without one
}

// NewTransactionalOutbox adds an outbox to a stack. It panics, before anything is added, with all that is
// wrong with the properties.
func NewTransactionalOutbox(scope constructs.Construct, id *string, props *TransactionalOutboxProps) *TransactionalOutbox {
	if props == nil {
		props = &TransactionalOutboxProps{}
	}
	c := props.withDefaults()
	at := placeOf(scope, id)
	var found problems
	if found.id(id) && c.EventBus == nil {
		found.busID(at.id())
	}
	c.check(&found)
	c.audit.check(&found, c, at)
	found.suppliedHere(at.stack, c.EventBus, c.Table, c.InboxTable, c.EncryptionKey, c.Alarms)
	found.refuse("transactional outbox", id)

	o := &TransactionalOutbox{flow: flow{
		place:          at,
		source:         c.Source,
		table:          c.Table,
		eventRetention: c.eventRetention,
		replayable:     replayable(c.eventRetention, c.archiveRetention, c.EventBus != nil),
		inboxTable:     c.InboxTable,
		eventBus:       c.EventBus,
		keepSettings: keepSettings{
			encryptionKey:       c.EncryptionKey,
			removalPolicy:       c.RemovalPolicy,
			deletionProtection:  c.DeletionProtection,
			pointInTimeRecovery: c.PointInTimeRecovery,
		},
		logRetention: c.LogRetention,
		alarmProps:   c.Alarms,
	}}
	prebuildOwnFunctions(scope, c)
	o.attachTo(o, scope, id)
	warnOfRegion(o, *o.place.stack.Region())
	if o.table == nil {
		o.table = newOutboxTable(o, o.keepSettings)
	}
	o.ruleDeadLetterQueue = o.newDeadLetterQueue(o, ruleDeadLetterQueueID)
	if o.eventBus == nil {
		o.eventBus = newEventBus(&o.flow)
	}
	if c.archives() {
		o.archive = newArchive(&o.flow, c.TransactionalOutboxProps)
	}
	o.pipeDeadLetterQueue = o.newDeadLetterQueue(o, pipeDeadLetterQueueID)
	o.pipe = newPipe(&o.flow, o.pipeDeadLetterQueue, c.TransactionalOutboxProps)
	if c.Monitor != nil {
		o.monitor = o.newMonitor(c.maximumLag)
	}
	if c.Audit != nil {
		o.auditor = o.newAuditor(c.audit)
	}
	o.addAlarms()
	o.auditor.readAfter(o.describe(c))
	o.auditor.coverElsewhere()
	o.warnOfUnseen(c)
	if c.Dashboard != nil && *c.Dashboard {
		o.dashboard = o.newDashboard()
	}
	return o
}

// Pipe returns the pipe that carries the events from the table's stream to the bus. It is created after everything else of
// the outbox, so no consumer of it may refer to the pipe: CloudFormation would find a circle.
func (o *TransactionalOutbox) Pipe() awspipes.CfnPipe { return o.pipe }

// PipeDeadLetterQueue returns the queue for the positions of stream records that the pipe could not deliver.
func (o *TransactionalOutbox) PipeDeadLetterQueue() awssqs.IQueue { return o.pipeDeadLetterQueue }

// Archive returns the archive of the bus, or nil without one.
func (o *TransactionalOutbox) Archive() awsevents.CfnArchive { return o.archive }

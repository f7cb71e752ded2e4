package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awspipes"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
)

// flow is what an outbox of this app and an imported one have in common: what its consumers and
// writers are attached to.
type flow struct {
	scope          constructs.Construct
	place          place
	source         *string
	table          awsdynamodb.ITable
	eventRetention span
	inboxTable     awsdynamodb.ITable // nil until a consumer needs one
	eventBus       awsevents.IEventBus
	pipe           awspipes.CfnPipe // nil for an imported outbox

	// replayable is how long after it was written an event can be put on the bus again, as far as the outbox
	// decides it: from the outbox table, and from an archive after that.
	replayable time.Duration

	// ruleDeadLetterQueue takes what a rule could not deliver. An imported outbox has none until it has a
	// consumer.
	ruleDeadLetterQueue awssqs.IQueue

	keepSettings
	logRetention awslogs.RetentionDays
	alarmProps   *AlarmProps
	alarmsNotify bool // once their topic lets the alarms publish

	auditor   *auditor   // nil without an audit, and for an imported outbox
	dashboard *dashboard // likewise
}

// attachTo makes the construct that embeds the flow a node of the tree. The flow must not be empty then:
// jsii takes an embedded struct without content for a class of its own to fill in.
func (f *flow) attachTo(embedding, scope constructs.Construct, id *string) {
	f.scope = embedding
	constructs.NewConstruct_Override(embedding, scope, id)
}

// Source returns the source that consumers match unless they name others.
func (f *flow) Source() *string { return f.source }

// EventBus returns the bus that the events are on.
func (f *flow) EventBus() awsevents.IEventBus { return f.eventBus }

// Table returns the outbox table, or nil for an outbox that was imported without one.
func (f *flow) Table() awsdynamodb.ITable { return f.table }

// EventRetention returns how long an event stays in the outbox table after it was written. A writer that is
// no function of this app, for example an API's mapping template, sets the item's expiresAt by it.
func (f *flow) EventRetention() awscdk.Duration { return f.eventRetention.duration }

// RuleDeadLetterQueue returns the queue for events that a rule of this outbox could not deliver to a
// consumer's queue, each with the reason in its message attributes. It returns nil for an imported outbox
// without consumers.
func (f *flow) RuleDeadLetterQueue() awssqs.IQueue { return f.ruleDeadLetterQueue }

// InboxTable returns the table in which consumers remember the events that they have handled, or nil while
// no consumer does.
func (f *flow) InboxTable() awsdynamodb.ITable { return f.inboxTable }

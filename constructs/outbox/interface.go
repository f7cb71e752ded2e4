package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
)

// ITransactionalOutbox is an outbox that consumers and writers can be attached to: one of this app, which
// [NewTransactionalOutbox] returns, or one that is deployed elsewhere, which
// [TransactionalOutbox_FromAttributes] returns.
type ITransactionalOutbox interface {
	constructs.IConstruct

	// Source returns the source that consumers match unless they name others.
	Source() *string
	// EventBus returns the bus that the events are on.
	EventBus() awsevents.IEventBus
	// Table returns the outbox table, or nil for an outbox that was imported without one.
	Table() awsdynamodb.ITable
	// EventRetention returns how long an event stays in the outbox table after it was written. A writer that
	// is no function of this app, for example an API's mapping template, sets the item's expiresAt by it.
	EventRetention() awscdk.Duration
	// InboxTable returns the table in which consumers remember the events that they have handled, or nil
	// while no consumer does.
	InboxTable() awsdynamodb.ITable
	// RuleDeadLetterQueue returns the queue for events that a rule of this outbox could not deliver to a
	// consumer's queue, each with the reason in its message attributes. It returns nil for an imported outbox
	// without consumers.
	RuleDeadLetterQueue() awssqs.IQueue

	// AddConsumer adds a consumer: a rule, a queue with a dead-letter queue, and a function. It panics,
	// before anything is added, with all that is wrong with the properties.
	AddConsumer(id *string, props *ConsumerProps) *Consumer
	// GrantWrite lets a writer put events into the outbox table, in transactions only. Whoever has this grant may
	// publish under the outbox's source. A function of this app, or an alias of its current version, also gets
	// the environment variables that runtime/outbox reads; of another app's the synthesis warns that it needs
	// them. It panics for an outbox that was imported without its table, and for a function that writes to
	// another outbox already, because its environment names one.
	GrantWrite(grantee awsiam.IGrantable) awsiam.Grant
	// GrantReadVersions lets a writer read the outbox table's items, the counters of versions among them:
	// what Tx.AppendNext of runtime/outbox needs besides GrantWrite. It panics for an outbox that was imported without
	// its table.
	GrantReadVersions(grantee awsiam.IGrantable) awsiam.Grant
	// GrantPublish lets another producer put events of the sources on the bus. It panics for no source, for the
	// outbox's own, and for one of AWS.
	GrantPublish(grantee awsiam.IGrantable, sources *[]*string) awsiam.Grant
}

// Both kinds of outbox are one to whoever takes the interface.
var (
	_ ITransactionalOutbox = (*TransactionalOutbox)(nil)
	_ ITransactionalOutbox = (*importedOutbox)(nil)
)

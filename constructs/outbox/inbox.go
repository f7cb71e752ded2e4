package outbox

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// Inbox says whether a consumer remembers which events it has handled.
type Inbox string

const (
	// Inbox_TABLE gives the consumer's function what runtime/inbox needs for effects that happen once: a
	// place in the inbox table, the permissions, and the environment variables that inbox.FromEnv reads.
	Inbox_TABLE Inbox = "TABLE"
	// Inbox_NONE is for a function that may see an event more than once.
	Inbox_NONE Inbox = "NONE"
)

// The environment variables are the contract with runtime/inbox and runtime/outbox.
const (
	envOutboxTable       = "OUTBOX_TABLE"
	envOutboxSource      = "OUTBOX_SOURCE"
	envOutboxRetention   = "OUTBOX_RETENTION_SECONDS"
	envInboxTable        = "INBOX_TABLE"
	envInboxConsumer     = "INBOX_CONSUMER"
	envInboxTTL          = "INBOX_TTL_SECONDS"
	envConsumerQueue     = "CONSUMER_QUEUE_URL"
	envConsumerDeadQueue = "CONSUMER_DLQ_URL"
)

// consumerOfFunction is the metadata that marks a function as the one of a consumer with an inbox.
const consumerOfFunction = "outboxkit:consumer"

// orderedReceives is how often an event that came before its predecessor may be received while it waits:
// what runtime/inbox needs for its default gap timeout.
const orderedReceives = 40

// longestDelivery is how long after it was written an event can still come to a queue for the first time:
// a record is in the stream for 24 hours, and a rule tries for 24 hours.
const longestDelivery = 2 * day

// checkInbox finds what would let an event have its effect twice, or out of order.
func (p ConsumerProps) checkInbox(found *problems, f *flow) {
	switch p.Inbox {
	case "", Inbox_TABLE:
		p.checkRemembering(found, f)
	case Inbox_NONE:
		p.checkForgetting(found)
	default:
		found.add("Inbox is %q, allowed are %s and %s", p.Inbox, Inbox_TABLE, Inbox_NONE)
	}
	if !p.ordered() {
		return
	}
	if p.AggregateTypes == nil {
		found.add("AggregateTypes is missing: an ordered consumer gets every event of the aggregate types it names")
	}
	if p.EventTypes != nil || p.Detail != nil {
		found.add("EventTypes or Detail is set together with Ordered: an event that is filtered out could not be told from a lost one")
	}
}

// checkForgetting wants nothing of a consumer without an inbox that only an inbox can do.
func (p ConsumerProps) checkForgetting(found *problems) {
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"InboxTTL", p.InboxTTL != nil},
		{"BusinessTables", p.BusinessTables != nil},
		{"Ordered", p.ordered()},
	} {
		if setting.set {
			found.add("%s is set together with Inbox NONE: it needs the inbox", setting.name)
		}
	}
}

func (p ConsumerProps) checkRemembering(found *problems, f *flow) {
	if p.Function != nil {
		if function, ownedHere := p.Function.(awslambda.Function); !ownedHere {
			found.add("Inbox is TABLE, allowed is NONE with an imported Function, whose environment cannot be set here")
		} else if other := inboxOf(function); other != "" {
			found.add("Function is that of consumer %s already, and its environment names one inbox: give each consumer a function, or set Inbox to NONE", other)
		}
	}
	found.businessTables(p.BusinessTables)
	found.duration("InboxTTL", p.InboxTTL, second, 3650*day)
	if ttl, known := length(p.InboxTTL); known && ttl < p.lastRedelivery(f) {
		found.add("InboxTTL is %v, allowed are at least %v: an event could come again after it is forgotten", ttl, p.lastRedelivery(f))
	}
}

// inboxOf is the consumer whose inbox the function uses, or empty.
func inboxOf(function awslambda.Function) string {
	for _, entry := range *function.Node().Metadata() {
		if *entry.Type == consumerOfFunction {
			return fmt.Sprint(entry.Data)
		}
	}
	return ""
}

func (p ConsumerProps) ordered() bool { return p.Ordered != nil && *p.Ordered }

// lastRedelivery is how long after it was first handled an event can come again: late on its way, from
// the queue, redriven from its dead-letter queue, or replayed from the archive.
func (p ConsumerProps) lastRedelivery(f *flow) time.Duration {
	return longestDelivery + f.archived + p.queueRetention() + p.deadLetterRetention()
}

func (p ConsumerProps) queueRetention() time.Duration {
	if p.Queue != nil {
		return retentionOf(p.Queue)
	}
	if p.RetentionPeriod == nil {
		return defaultRetentionDays * day
	}
	retention, known := length(p.RetentionPeriod)
	if !known {
		return longestRetention
	}
	return retention
}

func (p ConsumerProps) deadLetterRetention() time.Duration {
	if p.DeadLetterQueue != nil {
		return retentionOf(p.DeadLetterQueue)
	}
	if queue, ownedHere := p.Queue.(awssqs.Queue); ownedHere && queue.DeadLetterQueue() != nil {
		return retentionOf(queue.DeadLetterQueue().Queue)
	}
	return deadLetterDays * day
}

// retentionOf is how long a supplied queue keeps messages: as long as SQS can where it is not known.
func retentionOf(queue awssqs.IQueue) time.Duration {
	cfn, ownedHere := queue.Node().DefaultChild().(awssqs.CfnQueue)
	if !ownedHere {
		return longestRetention
	}
	seconds := cfn.MessageRetentionPeriod()
	switch {
	case seconds == nil:
		return 4 * day // what SQS takes where nothing is set
	case *awscdk.Token_IsUnresolved(seconds):
		return longestRetention
	}
	return time.Duration(*seconds) * time.Second
}

// useInbox gives the function of the consumer what runtime/inbox needs.
func (c *Consumer) useInbox(p ConsumerProps) {
	f := c.flow
	if f.inboxTable == nil {
		f.inboxTable = newInboxTable(f.scope, f.tableSettings)
	}
	function := c.function.(awslambda.Function)
	function.Node().AddMetadata(jsii.String(consumerOfFunction), c.Node().Path(), nil)
	// A list, because the order of a map, and with it the template, would change from synth to synth.
	for _, variable := range []struct {
		name  string
		value *string
	}{
		{envInboxTable, f.inboxTable.TableName()},
		{envInboxConsumer, c.Node().Path()},
		{envInboxTTL, seconds(p.InboxTTL)},
		{envConsumerQueue, c.queue.QueueUrl()},
		{envConsumerDeadQueue, c.deadLetterQueue.QueueUrl()},
	} {
		function.AddEnvironment(&variable.name, variable.value, nil)
	}
	c.grantInbox(p)
}

// seconds are those of a duration as the value of an environment variable. A duration that is only known
// when the stack is deployed must be one in seconds, which CDK checks.
func seconds(value awscdk.Duration) *string {
	return awscdk.Tokenization_StringifyNumber(value.ToSeconds(nil))
}

// grantInbox lets the function remember events and write business tables in one transaction, look an
// event up, and move a message to the dead-letter queue; an ordered one also makes a message that came
// too early come back soon.
func (c *Consumer) grantInbox(p ConsumerProps) {
	keys := inboxKeys(*c.Node().Path())
	grantInTransaction(c.flow.inboxTable, c.function, []TransactAction{TransactAction_PUT}, keys)
	grantGetItem(c.flow.inboxTable, c.function, keys)
	if p.BusinessTables != nil {
		for _, table := range *p.BusinessTables {
			GrantTransactionWrites(table.Table, c.function, table.Actions...)
		}
	}
	c.grantKeepDeadLetters()
	if p.ordered() {
		allowPrincipal(c.function, c.queue.QueueArn(), "sqs:ChangeMessageVisibility")
	}
}

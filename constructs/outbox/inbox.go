package outbox

import (
	"fmt"
	"time"

	"github.com/aws/jsii-runtime-go"
)

// An Inbox is whether a consumer remembers which events it has handled.
type Inbox string

const (
	// Inbox_TABLE gives the consumer's function what runtime/inbox needs for effects that happen once: a
	// place in the inbox table, the permissions, and the environment variables that inbox.FromEnv reads.
	Inbox_TABLE Inbox = "TABLE"
	// Inbox_NONE is for a function that may see an event more than once.
	Inbox_NONE Inbox = "NONE"
)

// longestInboxTTL bounds InboxTTL: it is more than any event can come again, and its seconds fit 32 bits.
const longestInboxTTL = 10000 * day

// longestDelivery is how long after it was written an event can still come to a queue for the first time,
// when it meets no dead-letter queue: a record is in the stream for 24 hours, and a rule tries for 24 hours.
const longestDelivery = 2 * day

// lastRedelivery returns how long after it was first handled an event can come again: late on its way; sent
// again from the dead-letter queues of the pipe and of the rules, which may hold a second copy of it; from
// the outbox table or an archive; and from the queue and its dead-letter queue after that. It may pass all of
// them in turn, so they add up.
func (c *consumerConfig) lastRedelivery() time.Duration {
	return longestDelivery + 2*deadLetterDays*day + c.flow.replayable +
		c.retention.atMost(longestRetention) + c.deadLetterRetention.atMost(longestRetention)
}

// replayable returns how long after it was written an event can be put on the bus again: from the outbox
// table, and from an archive, which also keeps what is sent again from the table. What is not known counts as
// the longest that there can be, the archives of a bus that is shared with others, too.
func replayable(events, archive span, shared bool) time.Duration {
	const longest = longestDays * day
	d := events.atMost(longest)
	if archive.given() || shared {
		d += archive.atMost(longest)
	}
	return d
}

// checkInbox finds what would let an event have its effect twice, or out of order.
func (c *consumerConfig) checkInbox(found *problems) {
	switch c.Inbox {
	case Inbox_TABLE:
		c.checkName(found)
		c.checkInboxFunction(found)
		c.checkInboxTTL(found)
	case Inbox_NONE:
		c.checkWithoutInbox(found)
	default:
		found.add("Inbox must be %s or %s, got %q", Inbox_TABLE, Inbox_NONE, c.Inbox)
	}
	found.businessTables(c.BusinessTables)
	if c.BusinessTables != nil {
		for i, table := range *c.BusinessTables {
			if table != nil && table.Table != nil {
				found.sameAccountOfTable(fmt.Sprintf("BusinessTables[%d].Table", i), table.Table, c.at.stack, "a transaction spans no other account or region")
			}
		}
	}
	if !c.ordered() {
		return
	}
	if c.AggregateTypes == nil {
		found.add("AggregateTypes is missing: an ordered consumer gets every event of the aggregate types it names")
	}
	if c.EventTypes != nil || c.Detail != nil {
		found.add("EventTypes and Detail must not be set together with Ordered: an event that is filtered out could not be told from a lost one")
	}
}

// checkWithoutInbox checks that a consumer without an inbox has no setting that only an inbox can keep.
func (c *consumerConfig) checkWithoutInbox(found *problems) {
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"Name", c.named},
		{"InboxTTL", c.InboxTTL != nil},
		{"BusinessTables", c.BusinessTables != nil},
		{"Ordered", c.ordered()},
	} {
		if setting.set {
			found.add("%s must not be set together with Inbox NONE: it needs the inbox", setting.name)
		}
	}
}

func (c *consumerConfig) checkInboxTTL(found *problems) {
	if d := c.inboxTTL.length; c.inboxTTL.known && (d < c.leastInboxTTL || d > longestInboxTTL || d%time.Second != 0) {
		found.add("InboxTTL must be whole seconds from %s, for which an event can come again, to %s, got %s", words(c.leastInboxTTL), words(longestInboxTTL), words(d))
	}
}

// useInbox gives the function of the consumer what runtime/inbox needs.
func (c *Consumer) useInbox(config *consumerConfig) {
	f := c.flow
	if f.inboxTable == nil {
		f.inboxTable = newInboxTable(f.scope, f.keepSettings)
	}
	function := functionOf(c.function)
	function.Node().AddMetadata(jsii.String(consumerOfFunction), config.at.path(), nil)
	for _, v := range []variable{
		{envInboxTable, f.inboxTable.TableName()},
		{envInboxConsumer, config.Name},
		{envInboxTTL, config.inboxTTL.seconds()},
		{envConsumerQueue, c.queue.QueueUrl()},
		{envConsumerDeadQueue, c.deadLetterQueue.QueueUrl()},
	} {
		function.AddEnvironment(&v.name, v.value, nil)
	}
	config.register()
	c.grantInbox(config)
}

// grantInbox lets the function remember events and write business tables in one transaction, look an
// event up, and move a message to the dead-letter queue; an ordered one also makes a message that came
// too early come back soon.
func (c *Consumer) grantInbox(config *consumerConfig) {
	keys := inboxKeys(*config.Name, config.ordered())
	grantInTransaction(c.flow.inboxTable, c.function, []TransactAction{TransactAction_PUT}, keys)
	grantGetItem(c.flow.inboxTable, c.function, keys)
	if config.BusinessTables != nil {
		for _, table := range *config.BusinessTables {
			GrantTransactionWrites(table.Table, c.function, table.Actions...)
		}
	}
	c.grantKeepDeadLetters()
	if config.ordered() {
		c.grantHistory()
		allowPrincipal(c.function, c.queue.QueueArn(), "sqs:ChangeMessageVisibility")
	}
}

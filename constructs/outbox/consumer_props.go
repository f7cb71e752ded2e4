package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

// ConsumerProps are the properties of a [Consumer]: which events it gets, the function that handles them, and
// the queue in between.
//
// # A consumer that joins later
//
// A consumer that is added to a running system gets the events that reach the bus once its rule exists, about
// from when its deployment ends. Those from before wait nowhere for it, but they are kept: in the archive of the
// bus, where there is one, and in the outbox table for EventRetention. A replay of the archive that names the
// consumer's rule brings them to it alone, in no order, and each has its effect once, because the inbox knows
// what came both ways. A replay that names no rule goes to all consumers; those that have handled an event
// know it for as long as their InboxTTL.
//
// An ordered consumer begins, for each aggregate that it meets, with the first event that was written after its
// queue was created, and skips what was written before: docs/adr/0012. To begin with version 1 instead, it uses
// inbox.FromFirstVersion of runtime/inbox, and waits for a replay to bring what is missing.
type ConsumerProps struct {
	// Name is what the inbox knows the consumer by, 1 to 128 of the characters A-Z a-z 0-9 . _ - and /. It must
	// differ from the names of all other consumers in the stack, and of all in other stacks that share the
	// inbox table.
	//
	// A consumer that is renamed no longer knows what it has handled: events that come again take effect again,
	// and an ordered consumer begins anew. Moving the stack below a Stage renames nothing, as long as the stack
	// keeps its StackName; another stack name or construct id does. Where the construct moves, set Name to the
	// old name, and see that the old queue is empty before you deploy. Where the name itself must change,
	// disable the event source mapping, wait until the last invocation has ended, run
	// `outbox inbox copy --table TABLE --from OLD --to NEW`, deploy, and enable the mapping: docs/adr/0011.
	// Default: the stack's name and the path of the construct below it, for example "Orders/Outbox/History".
	Name *string

	// EventTypes are the event types that the consumer gets, for example "OrderCreated": at least one, of 1 to 128
	// characters. They, Sources, AggregateTypes and Detail make a pattern of at most 2048 characters.
	// Default: every type.
	EventTypes *[]*string
	// Sources are the sources whose events it gets: at least one, of 1 to 256 bytes without '#', and not that of the outbox's
	// heartbeats.
	// Default: the outbox's own Source.
	Sources *[]*string
	// AggregateTypes are the aggregate types whose events it gets, for example "Order": at least one, of 1 to 128
	// bytes without '#'.
	// Default: every aggregate type.
	AggregateTypes *[]*string
	// Detail is a further EventBridge pattern on the event's detail, whose fields all hold texts:
	//
	//	{
	//	  "id": "…", "type": "OrderCreated", "aggregateType": "Order", "aggregateId": "o-1",
	//	  "version": "1", "occurredAt": "1793611801123", "correlationId": "…",
	//	  "data": {"S": "{…}"}, "traceparent": {"S": "…"}, "causationId": {"S": "…"}
	//	}
	//
	// Numbers are texts too, so "numeric" matches none of them; data is the text of a JSON document, and a
	// pattern cannot look inside. A pattern that matches no event is refused.
	// Default: none.
	Detail *map[string]any

	// Ordered is for a function that handles the events of an aggregate in the order of their versions, with
	// inbox.InOrder. It needs AggregateTypes, of which the function then gets every event, and no other
	// filter. Return nil for the events of a type that does not matter. A consumer that joins finds out in the
	// outbox table with which event an aggregate begins for it. An aggregate's first event that waits in a
	// dead-letter queue until its item has expired is refused, with the reason: an EventRetention above 14 days
	// keeps it that long.
	// Default: false.
	Ordered *bool
	// Inbox is whether the function gets what runtime/inbox needs for effects that happen once. Without it, the audit cannot
	// tell what the consumer has done with its events.
	// Default: Inbox_TABLE.
	Inbox Inbox
	// InboxTTL is how long the inbox remembers an event, in whole seconds from as long as it can come again to 10000 days. It can
	// come again for the sum of: 2 days on its way, 14 days in the pipe's dead-letter queue, 14 days in the
	// rules' dead-letter queue, the retention of the queue and of its dead-letter queue, EventRetention and
	// ArchiveRetention of the outbox. A retention that is not known at synth counts as the longest that there
	// can be.
	// Default: that sum.
	InboxTTL awscdk.Duration
	// BusinessTables are the tables that the function writes in its transactions, and what it does there. It may do so in
	// TransactWriteItems only; further permissions are the application's to grant.
	// Default: none.
	BusinessTables *[]*BusinessTable

	// GoFunction is a Go function to create. Its environment also gets what runtime/inbox reads; its
	// ReservedConcurrentExecutions must be at least MaxConcurrency, because throttled messages would use up
	// their receives. Where they are not set, LogRetention, RemovalPolicy and EncryptionKey are the outbox's.
	// Set it or Function.
	GoFunction *golambda.FunctionProps
	// Function is an existing function, which must answer with partial batch failures. It may be an alias of
	// the current version of a function of this app. A function of another app needs Inbox_NONE, because its
	// environment cannot be set here. What runtime/inbox reads takes the place of variables of the same names,
	// which a function of golambda.NewFunction must not set itself; of other functions CDK does not tell. Set it
	// or GoFunction.
	Function awslambda.IFunction

	// BatchSize is the most messages the function gets at once, 1 to 10000; more than 10 need a
	// MaxBatchingWindow of at least 1 second.
	// Default: 10.
	BatchSize *float64
	// MaxBatchingWindow is how long to wait for a batch to fill, 0 to 300 seconds.
	// Default: it does not wait.
	MaxBatchingWindow awscdk.Duration
	// MaxConcurrency is how many invocations of the function the queue may start at once, 2 to 1000.
	// Default: 10.
	MaxConcurrency *float64

	// Queue is an existing standard queue with a dead-letter queue, both for this consumer alone. What an
	// imported one has cannot be seen here, so VisibilityTimeout and DeadLetterQueue must say it, and
	// RetentionPeriod and MaxReceiveCount may. A customer-managed key of the queue gets the statement that
	// EventBridge needs; for an imported key the synthesis warns and shows it.
	// Default: a queue is created.
	Queue awssqs.IQueue
	// VisibilityTimeout of the queue, in whole seconds: at least 6 times the function's timeout plus MaxBatchingWindow, at
	// most 12 hours. Required with an imported function, whose timeout is not known here, and with an
	// imported Queue. Must not be set with a Queue of this app, whose own settings count; nor must
	// RetentionPeriod, MaxReceiveCount and DeadLetterQueue.
	// Default: 6 times the function's timeout plus MaxBatchingWindow.
	VisibilityTimeout awscdk.Duration
	// RetentionPeriod is how long the queue keeps a message, 1 minute to 13 days, and longer than
	// MaxReceiveCount tries take. A message that moves to the dead-letter queue keeps its age, so the rest
	// of the dead-letter queue's 14 days is the time to look at it.
	// Default: 7 days; of an imported Queue it is not known.
	RetentionPeriod awscdk.Duration
	// MaxReceiveCount is how often a message is tried before it goes to the dead-letter queue, 1 to 1000.
	// Default: 5, or 40 when Ordered, because an event that waits for its predecessor is tried again; of an
	// imported Queue it is not known.
	MaxReceiveCount *float64
	// DeadLetterQueue is an existing standard queue for messages that this consumer cannot handle, and for
	// nothing else: a redrive could not tell whose messages it holds. It must keep them longer than the queue
	// does. With an imported Queue it is required and names the queue that the imported one's redrive policy
	// names.
	// Default: a queue that keeps messages for 14 days is created.
	DeadLetterQueue awssqs.IQueue
}

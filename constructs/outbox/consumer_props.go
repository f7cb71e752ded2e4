package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// ConsumerProps are the properties of a consumer: which events it wants, the function that handles them,
// and the queue in between.
type ConsumerProps struct {
	// EventTypes are the event types it wants, for example "OrderCreated".
	// Default: every type.
	EventTypes *[]*string
	// Sources are the sources it wants events of.
	// Default: the outbox's own Source.
	Sources *[]*string
	// AggregateTypes are the aggregate types it wants events of, for example "Order".
	// Default: every aggregate type.
	AggregateTypes *[]*string
	// Detail is a further EventBridge pattern on the event's detail. The pipe passes an item's numbers and
	// its data on as strings, so "numeric" and a pattern inside of "data" do not match them.
	// Default: none.
	Detail *map[string]any

	// Ordered is for a function that handles the events of an aggregate in the order of their versions, with
	// inbox.InOrder. It needs AggregateTypes, of which the function then gets every event, and no other
	// filter. Do not handle events of a type that does not matter by filtering, but by returning nil.
	// Default: false.
	Ordered *bool
	// Inbox says whether the function gets what runtime/inbox needs for effects that happen once.
	// Default: Inbox_TABLE.
	Inbox Inbox
	// InboxTTL is how long the inbox remembers an event, at least as long as it can come again: 2 days, plus
	// the retention of the queue, its dead-letter queue and the archive.
	// Default: just as long.
	InboxTTL awscdk.Duration
	// BusinessTables are the tables that the function writes in its transactions, and what it does there. It may do so in
	// TransactWriteItems only; further permissions are the application's to grant.
	// Default: none.
	BusinessTables *[]*BusinessTable

	// Function is an existing function, which must answer with partial batch failures. Set it or Entry.
	Function awslambda.IFunction
	// Entry is the folder of the main package of a Go function to create, relative to the app's working
	// directory. Set it or Function.
	Entry *string
	// Architecture the Go function is built for.
	// Default: arm64.
	Architecture awslambda.Architecture
	// MemorySize of the Go function in MiB, 128 to 10240.
	// Default: 128.
	MemorySize *float64
	// Timeout of the Go function, 1 second to 15 minutes.
	// Default: 10 seconds.
	Timeout awscdk.Duration
	// Environment variables of the Go function.
	// Default: none.
	Environment *map[string]*string
	// ReservedConcurrentExecutions of the Go function, at least MaxConcurrency: with fewer, throttled
	// messages would use up their receives and end in the dead-letter queue.
	// Default: no limit but the account's.
	ReservedConcurrentExecutions *float64
	// Description of the Go function.
	// Default: none.
	Description *string

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

	// Queue is an existing standard queue with a dead-letter queue.
	// Default: a queue is created.
	Queue awssqs.IQueue
	// VisibilityTimeout of the queue: at least 6 times the function's timeout plus MaxBatchingWindow, at
	// most 12 hours. Required with an imported function, whose timeout is not known here.
	// Default: 6 times the function's timeout plus MaxBatchingWindow.
	VisibilityTimeout awscdk.Duration
	// RetentionPeriod is how long the queue keeps a message, at most 13 days, and longer than
	// MaxReceiveCount tries take. A message that moves to the dead-letter queue keeps its age, so the rest
	// of the dead-letter queue's 14 days is the time to look at it.
	// Default: 7 days.
	RetentionPeriod awscdk.Duration
	// MaxReceiveCount is how often a message is tried before it goes to the dead-letter queue, 1 to 1000.
	// Default: 5, or 40 when Ordered, because an event that waits for its predecessor is tried again.
	MaxReceiveCount *float64
	// DeadLetterQueue is an existing queue for messages that cannot be handled. With an imported Queue it
	// is required and names the queue that the imported one's redrive policy names.
	// Default: a queue that keeps messages for 14 days is created.
	DeadLetterQueue awssqs.IQueue
}

// The defaults of a consumer, and what bounds its settings.
const (
	defaultTimeoutSeconds  = 10
	defaultBatchSize       = 10
	defaultMaxConcurrency  = 10
	defaultRetentionDays   = 7
	defaultMaxReceiveCount = 5

	// visibilityFactor is how many times the function's timeout a message must stay invisible, so that a
	// throttled invocation can be tried again before the message comes back.
	// Source: Lambda developer guide, services-sqs-configure.
	visibilityFactor = 6

	// maxPattern is the longest event pattern of a rule, in characters.
	// Source: EventBridge user guide, eb-quota.
	maxPattern = 2048
)

// withDefaults is a copy of the properties in which every setting that has a default has a value.
func (p ConsumerProps) withDefaults(f *flow) ConsumerProps {
	if p.Sources == nil {
		p.Sources = &[]*string{f.source}
	}
	if p.Inbox == "" {
		p.Inbox = Inbox_TABLE
	}
	if p.InboxTTL == nil {
		p.InboxTTL = awscdk.Duration_Seconds(jsii.Number(p.lastRedelivery(f).Seconds()))
	}
	if p.Timeout == nil && p.Function == nil {
		p.Timeout = awscdk.Duration_Seconds(jsii.Number(defaultTimeoutSeconds))
	}
	p.BatchSize = orDefault(p.BatchSize, jsii.Number(defaultBatchSize))
	p.MaxConcurrency = orDefault(p.MaxConcurrency, jsii.Number(defaultMaxConcurrency))
	p.MaxReceiveCount = p.receives()
	if p.RetentionPeriod == nil {
		p.RetentionPeriod = awscdk.Duration_Days(jsii.Number(defaultRetentionDays))
	}
	if p.VisibilityTimeout == nil && p.Queue == nil {
		least, _ := p.leastVisibility()
		p.VisibilityTimeout = awscdk.Duration_Seconds(jsii.Number(least.Seconds()))
	}
	return p
}

// receives is how often a message is tried.
func (p ConsumerProps) receives() *float64 {
	if p.ordered() {
		return orDefault(p.MaxReceiveCount, jsii.Number(orderedReceives))
	}
	return orDefault(p.MaxReceiveCount, jsii.Number(defaultMaxReceiveCount))
}

func orDefault[T any](value, byDefault *T) *T {
	if value == nil {
		return byDefault
	}
	return value
}

// check finds everything that is wrong with the properties.
func (p ConsumerProps) check(f *flow) *problems {
	var found problems
	p.checkPattern(&found)
	p.checkFunction(&found)
	p.checkMapping(&found)
	p.checkQueue(&found)
	p.checkInbox(&found, f)
	if len(found) == 0 {
		found.patternSize(p.withDefaults(f).pattern())
	}
	return &found
}

func (p ConsumerProps) checkPattern(found *problems) {
	found.texts("EventTypes", p.EventTypes, record.MaxDetailType)
	found.texts("Sources", p.Sources, record.MaxSource)
	found.texts("AggregateTypes", p.AggregateTypes, maxPattern)
	if p.Detail != nil && p.AggregateTypes != nil {
		if _, both := (*p.Detail)[record.AttrAggregateType]; both {
			found.add("Detail has %s, which AggregateTypes sets: use one of them", record.AttrAggregateType)
		}
	}
}

func (p ConsumerProps) checkFunction(found *problems) {
	if p.Function == nil && p.Entry == nil {
		found.add("Function and Entry are missing, set one of them")
	}
	found.exclusive("Function", p.Function != nil, map[string]bool{
		"Entry":                        p.Entry != nil,
		"Architecture":                 p.Architecture != nil,
		"MemorySize":                   p.MemorySize != nil,
		"Timeout":                      p.Timeout != nil,
		"Environment":                  p.Environment != nil,
		"ReservedConcurrentExecutions": p.ReservedConcurrentExecutions != nil,
		"Description":                  p.Description != nil,
	})
	found.number("MemorySize", p.MemorySize, 128, 10240)
	found.duration("Timeout", p.Timeout, second, 15*minute)
}

func (p ConsumerProps) checkMapping(found *problems) {
	found.number("BatchSize", p.BatchSize, 1, 10000)
	found.duration("MaxBatchingWindow", p.MaxBatchingWindow, 0, 300*second)
	found.number("MaxConcurrency", p.MaxConcurrency, 2, 1000)
	if p.BatchSize != nil && *p.BatchSize > 10 && p.window() < second {
		found.add("BatchSize is %v without a MaxBatchingWindow: more than 10 need a window of at least 1 second", *p.BatchSize)
	}
	concurrency := orDefault(p.MaxConcurrency, jsii.Number(defaultMaxConcurrency))
	if r := p.ReservedConcurrentExecutions; r != nil && !*awscdk.Token_IsUnresolved(r) && *r < *concurrency {
		found.add("ReservedConcurrentExecutions is %v, allowed is at least MaxConcurrency, which is %v: with fewer, throttled messages would end in the dead-letter queue", *r, *concurrency)
	}
}

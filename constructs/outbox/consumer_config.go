package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
)

// The defaults of a consumer, and what bounds its settings.
const (
	defaultBatchSize       = 10
	defaultMaxConcurrency  = 10
	defaultRetention       = 7 * day
	defaultMaxReceiveCount = 5

	// orderedReceives is how often an event that came before its predecessor may be received while it waits:
	// what runtime/inbox needs for its default gap timeout.
	orderedReceives = 40

	// visibilityFactor is how many times the function's timeout a message must stay invisible, so that a
	// throttled invocation can be tried again before the message comes back.
	// Source: Lambda developer guide, services-sqs-configure.
	visibilityFactor = 6

	// What Lambda and SQS take where nothing is set.
	// Source: Lambda developer guide, configuration-timeout; SQS API reference, CreateQueue.
	lambdaTimeout = 3 * second
	sqsVisibility = 30 * second
	sqsRetention  = 4 * day
)

// A consumerConfig is a copy of the properties in which every setting that has a default has a value, together
// with what is known of the parts that are supplied.
type consumerConfig struct {
	ConsumerProps
	flow *flow
	at   place

	named    bool               // the application chose the name
	function awslambda.Function // the one of this app that Function is or points to, or nil
	timeout  span               // of one invocation
	window   span

	visibility, retention span
	receives              *float64      // how often a message is tried, or nil where it is not known
	deadLetters           awssqs.IQueue // supplied, or nil
	deadLetterRetention   span

	inboxTTL      span
	leastInboxTTL time.Duration
}

// withDefaults applies the defaults. It changes nothing in the properties, which may serve several consumers.
func (p ConsumerProps) withDefaults(f *flow, at place) *consumerConfig {
	c := &consumerConfig{ConsumerProps: p, flow: f, at: at, window: span{known: true}}
	if c.Sources == nil {
		c.Sources = &[]*string{f.source}
	}
	c.BatchSize = orDefault(c.BatchSize, defaultBatchSize)
	c.MaxConcurrency = orDefault(c.MaxConcurrency, defaultMaxConcurrency)
	if c.MaxBatchingWindow != nil {
		c.window = spanOf(c.MaxBatchingWindow)
	}
	c.setFunction()
	if c.Queue == nil {
		c.setQueue()
	} else {
		c.lookAtQueue()
	}
	c.setInbox()
	return c
}

// setFunction sets what is to be known of the function.
func (c *consumerConfig) setFunction() {
	switch {
	case c.Function != nil:
		c.function = functionOf(c.Function)
		c.timeout = timeoutOf(c.function)
	case c.GoFunction != nil:
		props := *c.GoFunction
		if props.LogRetention == "" {
			props.LogRetention = c.flow.logRetention
		}
		if props.RemovalPolicy == "" {
			props.RemovalPolicy = c.flow.removalPolicy
		}
		if props.EncryptionKey == nil {
			props.EncryptionKey = c.flow.encryptionKey
		}
		c.GoFunction = props.WithDefaults()
		c.timeout = spanOf(c.GoFunction.Timeout)
	}
}

// setQueue applies the defaults of a queue that is to be created.
func (c *consumerConfig) setQueue() {
	c.receives = orDefault(c.MaxReceiveCount, defaultMaxReceiveCount)
	if c.ordered() {
		c.receives = orDefault(c.MaxReceiveCount, orderedReceives)
	}
	c.visibility = spanOf(c.VisibilityTimeout)
	if least, known := c.leastVisibility(); known && c.VisibilityTimeout == nil {
		c.visibility = spanFor(least)
	}
	c.retention = spanFor(defaultRetention)
	if c.RetentionPeriod != nil {
		c.retention = spanOf(c.RetentionPeriod)
	}
	c.deadLetterRetention = span{length: deadLetterDays * day, known: true}
	if c.DeadLetterQueue != nil {
		c.deadLetters = c.DeadLetterQueue
		c.deadLetterRetention = retentionOf(c.DeadLetterQueue)
	}
}

// lookAtQueue takes over what is known of a queue that is supplied: everything of one of this app, and what
// the properties say of an imported one.
func (c *consumerConfig) lookAtQueue() {
	c.retention = spanOf(c.RetentionPeriod)
	c.visibility = spanOf(c.VisibilityTimeout)
	c.receives = c.MaxReceiveCount
	c.deadLetters = c.DeadLetterQueue
	if queue, ownedHere := c.Queue.(awssqs.Queue); ownedHere {
		c.retention = retentionOf(queue)
		c.visibility = visibilityOf(queue)
		if set := queue.DeadLetterQueue(); set != nil {
			c.receives, c.deadLetters = set.MaxReceiveCount, set.Queue
		}
	}
	if c.deadLetters != nil {
		c.deadLetterRetention = retentionOf(c.deadLetters)
	}
}

// setInbox applies the defaults of the inbox.
func (c *consumerConfig) setInbox() {
	if c.Inbox == "" {
		c.Inbox = Inbox_TABLE
	}
	c.named = c.Name != nil
	if c.Inbox == Inbox_TABLE && !c.named {
		name := c.at.String()
		c.Name = &name
	}
	c.leastInboxTTL = c.lastRedelivery()
	c.inboxTTL = span{length: c.leastInboxTTL, known: true}
	if c.InboxTTL != nil {
		c.inboxTTL = spanOf(c.InboxTTL)
	}
}

func (c *consumerConfig) ordered() bool { return c.Ordered != nil && *c.Ordered }

// leastVisibility returns the shortest visibility timeout that does not show a message to a second
// invocation while the first may still work on it.
func (c *consumerConfig) leastVisibility() (d time.Duration, known bool) {
	return visibilityFactor*c.timeout.length + c.window.length, c.timeout.known && c.window.known
}

// check finds everything that is wrong with the settings.
func (c *consumerConfig) check(found *problems) {
	c.checkPattern(found)
	c.checkFunction(found)
	c.checkMapping(found)
	c.checkQueue(found)
	c.checkInbox(found)
}

func (c *consumerConfig) checkMapping(found *problems) {
	found.number("BatchSize", c.BatchSize, 1, 10000)
	found.duration("MaxBatchingWindow", c.window, 0, 300*second)
	found.number("MaxConcurrency", c.MaxConcurrency, 2, 1000)
	if *c.BatchSize > 10 && c.window.known && c.window.length < second && !unresolved(c.BatchSize) {
		found.add("MaxBatchingWindow must be at least 1 second with a BatchSize of more than 10, got %s with %v", words(c.window.length), *c.BatchSize)
	}
}

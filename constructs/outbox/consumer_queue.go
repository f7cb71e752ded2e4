package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
)

// checkQueue finds what is wrong with the queue, on which the consumer's guarantee hangs.
func (c *consumerConfig) checkQueue(found *problems) {
	if c.Queue != nil {
		c.checkSuppliedQueue(found)
	}
	if c.deadLetters != nil {
		found.standardQueue("DeadLetterQueue", c.deadLetters)
		found.sameAccount("DeadLetterQueue", c.deadLetters, c.at.stack, "SQS moves messages only within an account and a region")
		c.checkUse(found, c.ofQueue("DeadLetterQueue", "the dead-letter queue of Queue"), c.deadLetters, "a redrive could not tell whose messages it holds")
	}
	if c.VisibilityTimeout != nil {
		found.duration("VisibilityTimeout", spanOf(c.VisibilityTimeout), 0, 12*time.Hour)
	}
	if c.RetentionPeriod != nil {
		found.duration("RetentionPeriod", spanOf(c.RetentionPeriod), minute, 13*day)
	}
	found.number("MaxReceiveCount", c.MaxReceiveCount, 1, 1000)
	c.checkVisibility(found)
	c.checkRetention(found)
}

// checkSuppliedQueue checks that an existing queue has what a created one gets.
func (c *consumerConfig) checkSuppliedQueue(found *problems) {
	found.standardQueue("Queue", c.Queue)
	found.sameRegion("Queue", c.Queue, c.at.stack, "rules and Lambda reach only queues of their own region")
	c.checkUse(found, "Queue", c.Queue, "each would get a part of the other's messages, and lose the rest")
	if c.deadLetters != nil && c.at.keyOf(c.deadLetters) == c.at.keyOf(c.Queue) {
		found.add("DeadLetterQueue must be another queue than Queue")
	}
	queue, ownedHere := c.Queue.(awssqs.Queue)
	if !ownedHere {
		if c.DeadLetterQueue == nil {
			found.add("DeadLetterQueue is missing: the redrive policy of the imported Queue is not known here, name the queue that it names")
		}
		return
	}
	found.usableKey("Queue", queue)
	found.exclusive("Queue", true, map[string]bool{
		"VisibilityTimeout": c.VisibilityTimeout != nil,
		"RetentionPeriod":   c.RetentionPeriod != nil,
		"MaxReceiveCount":   c.MaxReceiveCount != nil,
		"DeadLetterQueue":   c.DeadLetterQueue != nil,
	})
	if queue.DeadLetterQueue() == nil {
		found.add("Queue must have a dead-letter queue, got one without: an event that cannot be handled would be tried until it is lost")
	}
}

// checkUse checks that a supplied queue serves nothing else in the app.
func (c *consumerConfig) checkUse(found *problems, name string, queue awssqs.IQueue, reason string) {
	if use := c.at.useOf(queue); use != "" {
		found.add("%s must serve this consumer alone, got the %s: %s", name, use, reason)
	}
}

// checkVisibility checks that a message stays invisible while the function may still work on it.
func (c *consumerConfig) checkVisibility(found *problems) {
	_, ownedHere := c.Queue.(awssqs.Queue)
	least, known := c.leastVisibility()
	switch {
	case c.VisibilityTimeout == nil && c.Queue != nil && !ownedHere:
		found.add("VisibilityTimeout is missing: that of the imported Queue is not known here, so it cannot be compared with the function's timeout")
	case c.VisibilityTimeout == nil && c.Queue == nil && !known:
		found.add("VisibilityTimeout is missing: the function's timeout is not known here, so 6 times of it cannot be set")
	case known && c.visibility.known && c.visibility.length < least:
		found.add("%s must be at least %s, which is 6 times the function's timeout of %s plus the MaxBatchingWindow of %s, got %s",
			c.ofQueue("VisibilityTimeout", "the visibility timeout of Queue"), words(least), words(c.timeout.length), words(c.window.length), words(c.visibility.length))
	}
}

// checkRetention checks that the queue keeps a message until all its tries are used up, for one that expires
// before never reaches the dead-letter queue, and that the dead-letter queue does not drop it at once.
func (c *consumerConfig) checkRetention(found *problems) {
	if !c.retention.known {
		return
	}
	retention, name := c.retention.length, c.ofQueue("RetentionPeriod", "the retention period of Queue")
	if c.visibility.known && c.receives != nil && !unresolved(c.receives) {
		if tries := time.Duration(*c.receives) * c.visibility.length; retention <= tries {
			found.add("%s must be more than %s, which is %v tries times the visibility timeout of %s, got %s",
				name, words(tries), *c.receives, words(c.visibility.length), words(retention))
		}
	}
	// A message keeps its age when it moves.
	// Source: SQS developer guide, setting-up-dead-letter-queue-retention.
	if c.deadLetterRetention.known && c.deadLetterRetention.length <= retention {
		found.add("%s must be less than the %s for which the dead-letter queue keeps a message, whose age counts from when it was first sent, got %s",
			name, words(c.deadLetterRetention.length), words(retention))
	}
}

// ofQueue returns the name of a setting: of the property, or of the supplied queue that brings it along.
func (c *consumerConfig) ofQueue(property, supplied string) string {
	if _, ownedHere := c.Queue.(awssqs.Queue); ownedHere {
		return supplied
	}
	return property
}

// standardQueue checks that a queue is none of SQS's FIFO queues.
func (f *problems) standardQueue(name string, queue awssqs.IQueue) {
	if fifo := queue.Fifo(); fifo != nil && *fifo {
		f.add("%s must be a standard queue, got a FIFO queue: a rule's events carry no message group", name)
	}
}

// retentionOf returns how long a queue keeps messages, where it is one of this app.
func retentionOf(queue awssqs.IQueue) span {
	cfn, ownedHere := queue.Node().DefaultChild().(awssqs.CfnQueue)
	if !ownedHere {
		return span{}
	}
	return secondsOr(cfn.MessageRetentionPeriod(), sqsRetention)
}

// keyOfAWS is the key that AWS manages for SQS in each account. Nobody can change its policy.
const keyOfAWS = "alias/aws/sqs"

// usableKey checks that EventBridge can be allowed to send to a queue of this app that is encrypted.
// Source: SQS developer guide, sqs-key-management.
func (f *problems) usableKey(name string, queue awssqs.Queue) {
	cfn, ok := queue.Node().DefaultChild().(awssqs.CfnQueue)
	if !ok {
		return
	}
	if key := cfn.KmsMasterKeyId(); key != nil && *key == keyOfAWS {
		f.add("%s must be encrypted by SQS or with a key of your own, got one with %s, which EventBridge cannot be allowed to use", name, keyOfAWS)
	}
}

// visibilityOf returns the visibility timeout of a queue of this app.
func visibilityOf(queue awssqs.Queue) span {
	cfn, ok := queue.Node().DefaultChild().(awssqs.CfnQueue)
	if !ok {
		return span{}
	}
	return secondsOr(cfn.VisibilityTimeout(), sqsVisibility)
}

// secondsOr returns a number of seconds as AWS reads it: nothing is for its default.
func secondsOr(given *float64, byDefault time.Duration) span {
	switch {
	case given == nil:
		return span{length: byDefault, known: true}
	case unresolved(given):
		return span{}
	}
	return span{length: time.Duration(*given * float64(time.Second)), known: true}
}

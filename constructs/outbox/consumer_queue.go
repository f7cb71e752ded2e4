package outbox

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// checkQueue finds what is wrong with the queue, on which the consumer's guarantee hangs.
func (p ConsumerProps) checkQueue(found *problems) {
	found.exclusive("Queue", p.Queue != nil, map[string]bool{
		"VisibilityTimeout": p.VisibilityTimeout != nil,
		"RetentionPeriod":   p.RetentionPeriod != nil,
		"MaxReceiveCount":   p.MaxReceiveCount != nil,
	})
	found.duration("VisibilityTimeout", p.VisibilityTimeout, 0, 12*time.Hour)
	found.duration("RetentionPeriod", p.RetentionPeriod, minute, 13*day)
	found.number("MaxReceiveCount", p.MaxReceiveCount, 1, 1000)
	if p.Queue != nil {
		p.checkSuppliedQueue(found)
		return
	}
	if _, known := p.timeout(); !known && p.VisibilityTimeout == nil {
		found.add("VisibilityTimeout is missing: the function's timeout is not known here, so 6 times of it cannot be set")
		return
	}
	visibility, known := length(p.VisibilityTimeout)
	if known {
		p.checkVisibility(found, "VisibilityTimeout", visibility)
	}
	if p.VisibilityTimeout == nil {
		visibility, known = p.leastVisibility()
	}
	if known {
		p.checkRetention(found, visibility)
	}
}

// checkSuppliedQueue wants an existing queue to have what a created one gets. Of an imported queue only
// its ARN is known, so its owner is trusted with the visibility timeout.
func (p ConsumerProps) checkSuppliedQueue(found *problems) {
	if *orDefault(p.Queue.Fifo(), jsii.Bool(false)) {
		found.add("Queue is a FIFO queue, allowed is a standard queue: a rule's events carry no message group")
	}
	queue, ownedHere := p.Queue.(awssqs.Queue)
	switch {
	case ownedHere && queue.DeadLetterQueue() == nil:
		found.add("Queue has no dead-letter queue: an event that cannot be handled would be tried until it is lost")
	case ownedHere && p.DeadLetterQueue != nil:
		found.add("DeadLetterQueue is set together with Queue, which brings its own: set one of them")
	case !ownedHere && p.DeadLetterQueue == nil:
		found.add("DeadLetterQueue is missing: the redrive policy of the imported Queue is not known here, name the queue that it names")
	}
	if !ownedHere {
		return
	}
	if cfn, ok := queue.Node().DefaultChild().(awssqs.CfnQueue); ok {
		// 30 seconds is what SQS takes where nothing is set.
		visibility := orDefault(cfn.VisibilityTimeout(), jsii.Number(30))
		if !*awscdk.Token_IsUnresolved(visibility) {
			p.checkVisibility(found, "the visibility timeout of Queue", time.Duration(*visibility)*time.Second)
		}
	}
}

func (p ConsumerProps) checkVisibility(found *problems, name string, visibility time.Duration) {
	timeout, _ := p.timeout()
	if least, known := p.leastVisibility(); known && visibility < least {
		found.add("%s is %v, allowed are at least %v: 6 times the function's timeout of %v plus the MaxBatchingWindow of %v",
			name, visibility, least, timeout, p.window())
	}
}

// checkRetention wants the queue to keep a message until all its tries are used up: one that expires
// before never reaches the dead-letter queue.
func (p ConsumerProps) checkRetention(found *problems, visibility time.Duration) {
	retention, known := length(p.RetentionPeriod)
	if p.RetentionPeriod == nil {
		retention, known = defaultRetentionDays*day, true
	}
	receives := p.receives()
	if !known || *awscdk.Token_IsUnresolved(receives) {
		return
	}
	if tries := time.Duration(*receives) * visibility; retention <= tries {
		found.add("RetentionPeriod is %v, allowed is more than %v, which is MaxReceiveCount %v times the visibility timeout of %v", retention, tries, *receives, visibility)
	}
}

// leastVisibility is the shortest visibility timeout that does not show a message to a second
// invocation while the first may still work on it.
func (p ConsumerProps) leastVisibility() (d time.Duration, known bool) {
	timeout, known := p.timeout()
	return visibilityFactor*timeout + p.window(), known
}

// timeout is how long one invocation of the function may take.
func (p ConsumerProps) timeout() (d time.Duration, known bool) {
	if p.Function == nil {
		if p.Timeout == nil {
			return defaultTimeoutSeconds * second, true
		}
		return length(p.Timeout)
	}
	function, ownedHere := p.Function.(awslambda.Function)
	if !ownedHere {
		return 0, false
	}
	if function.Timeout() == nil {
		return 3 * second, true // what Lambda takes where nothing is set
	}
	return length(function.Timeout())
}

// window is the batching window, as far as it is known.
func (p ConsumerProps) window() time.Duration {
	d, _ := length(p.MaxBatchingWindow)
	return d
}

package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// deadLetterDays is how long a dead-letter queue keeps a message: as long as SQS can.
const deadLetterDays = 14

// longestRetention is how long any queue can keep a message.
// Source: SQS developer guide, quotas-messages.
const longestRetention = 14 * day

// newDeadLetterQueue adds a queue for what could not be delivered or handled. It goes with the stack only where the
// RemovalPolicy says so: an event in it may be nowhere else.
func (f *flow) newDeadLetterQueue(scope constructs.Construct, id string) awssqs.Queue {
	queue := newQueue(scope, id, f.encryptionKey, awssqs.QueueProps{
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(deadLetterDays)),
		RemovalPolicy:   f.keep(),
	})
	f.createBeforePipe(queue)
	f.place.registerQueue(queue, id+" of "+*scope.Node().Path())
	return queue
}

// registeredQueue is the kind of metadata that keeps what each queue is for.
const registeredQueue = "outboxkit:queue"

// registerQueue keeps what a queue is for, for example "Queue of Orders/Outbox/History", so that it serves nothing else.
func (p place) registerQueue(queue awssqs.IQueue, use string) {
	p.register(registeredQueue, map[string]any{"queue": p.keyOf(queue), "use": use})
}

// useOf returns what a queue is for already, or nothing.
func (p place) useOf(queue awssqs.IQueue) string {
	for _, other := range p.registered(registeredQueue) {
		if other["queue"] == p.keyOf(queue) {
			return other["use"].(string)
		}
	}
	return ""
}

// keyOf returns a text that tells queues apart: the ARN, and of an imported one whose ARN is known only at deployment also
// the stack, because such an ARN may read the same in stacks of different regions.
func (p place) keyOf(queue awssqs.IQueue) string {
	arn := *queue.QueueArn()
	if _, ownedHere := queue.(awssqs.Queue); !ownedHere && unresolved(&arn) {
		return p.stackPath + " " + arn
	}
	return arn
}

// newQueue adds a queue that is encrypted at rest and lets nobody in without TLS.
func newQueue(scope constructs.Construct, id string, key awskms.IKey, props awssqs.QueueProps) awssqs.Queue {
	props.EnforceSSL = jsii.Bool(true)
	props.Encryption = awssqs.QueueEncryption_SQS_MANAGED
	if key != nil {
		props.Encryption = awssqs.QueueEncryption_KMS
		props.EncryptionMasterKey = key
		keypolicy.AllowEvents(scope, key)
	}
	return awssqs.NewQueue(scope, &id, &props)
}

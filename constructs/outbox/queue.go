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
	return queue
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

package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
)

// inboxKeys are the keys of the inbox's items of one consumer: its markers and positions, when it joined, where it began, and which events
// wait for a predecessor. A name holds no '#', so that one consumer's keys are never another's.
func inboxKeys(consumer string) leadingKeys {
	return leadingKeys{"event#" + consumer + "#*", "position#" + consumer + "#*", "join#" + consumer, "start#" + consumer + "#*", "waiting#" + consumer + "#*"}
}

// grantConsume lets the function's role do what an event source mapping does in its name. For an imported function of
// unknown role CDK warns and shows the statements that are missing.
// Source: Lambda developer guide, services-sqs-configure.
func (c *Consumer) grantConsume() awsiam.Grant {
	grant := allowPrincipal(c.function, c.queue.QueueArn(), "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
	if key := c.queue.EncryptionMasterKey(); key != nil {
		grant = grant.Combine(grantKeyVia(c, "sqs", key, c.function, "kms:Decrypt"))
	}
	return grant
}

// grantKeepDeadLetters lets the function move a message to its dead-letter queue.
func (c *Consumer) grantKeepDeadLetters() {
	allowPrincipal(c.function, c.deadLetterQueue.QueueArn(), "sqs:SendMessage")
	if key := c.deadLetterQueue.EncryptionMasterKey(); key != nil {
		grantKeyVia(c, "sqs", key, c.function, "kms:Decrypt", "kms:GenerateDataKey")
	}
}

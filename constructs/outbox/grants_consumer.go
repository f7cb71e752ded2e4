package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// inboxKeys are the keys of the inbox's items of one consumer: its markers and positions; for one in order also when it
// joined, where it starts, and what waits. A name holds no '#', so that one consumer's keys are never another's.
func inboxKeys(consumer string, ordered bool) leadingKeys {
	keys := leadingKeys{"event#" + consumer + "#*"}
	if ordered {
		keys = append(keys, "position#"+consumer+"#*", "join#"+consumer, "start#"+consumer+"#*", "waiting#"+consumer+"#*")
	}
	return keys
}

// grantHistory lets the function of an ordered consumer find out when the predecessors of an event were written, and tells
// it where: ADR 12. It reads the attributes for that and nothing else of an event, its data least of all.
// Source: DynamoDB developer guide, specifying-conditions.
func (c *Consumer) grantHistory() {
	table := c.flow.table
	if table == nil {
		return
	}
	functionOf(c.function).AddEnvironment(jsii.String(envInboxOrigin), table.TableName(), nil)
	awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      c.function,
		Actions:      jsii.Strings("dynamodb:Query"),
		ResourceArns: &[]*string{table.TableArn()},
		Conditions: &map[string]*map[string]any{
			"ForAllValues:StringEquals": {"dynamodb:Attributes": jsii.Strings(record.HistoryFields...)},
			"StringEquals":              {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
		},
	})
	if key := table.EncryptionKey(); key != nil {
		grantKeyVia(table, "dynamodb", key, c.function, "kms:Decrypt")
	}
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

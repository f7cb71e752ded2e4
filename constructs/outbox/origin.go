package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// useOrigin lets the function of an ordered consumer find out with which event of an aggregate it begins: from
// when the events before it were written, which the outbox table knows (docs/adr/0012). It reads nothing of
// what happened. An outbox that was imported without its table has none to read.
func (c *Consumer) useOrigin() {
	table := c.flow.table
	if table == nil {
		return
	}
	functionOf(c.function).AddEnvironment(jsii.String(envInboxOrigin), table.TableName(), nil)
	awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      c.function,
		Actions:      jsii.Strings("dynamodb:Query"),
		ResourceArns: &[]*string{table.TableArn()},
		// Source: DynamoDB developer guide, specifying-conditions.
		Conditions: &map[string]*map[string]any{
			"ForAllValues:StringEquals": {"dynamodb:Attributes": jsii.Strings(record.HistoryFields...)},
			"StringEquals":              {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
		},
	})
	if key := table.EncryptionKey(); key != nil {
		grantKeyVia(table, "dynamodb", key, c.function, "kms:Decrypt")
	}
}

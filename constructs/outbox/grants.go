package outbox

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// GrantWrite lets a writer use the outbox table in TransactWriteItems, and in no other operation: an
// event is written together with what it tells of, or not at all. The business tables of the
// transaction are the application's to grant.
func (f *flow) GrantWrite(grantee awsiam.IGrantable) awsiam.Grant {
	if f.table == nil {
		panic(fmt.Sprintf("outbox %s is imported without its table, so nobody can be granted to write", *f.scope.Node().Path()))
	}
	return grantTransactionWrites(f.table, grantee)
}

// GrantPublish lets another producer put events on the bus.
func (f *flow) GrantPublish(grantee awsiam.IGrantable) awsiam.Grant {
	return f.eventBus.GrantPutEventsTo(grantee, nil)
}

// grantTransactionWrites lets the grantee put, update and check items of the table within
// TransactWriteItems. There is no permission of that name: the actions inside are what IAM checks.
// Source: DynamoDB developer guide, transaction-apis-iam.
func grantTransactionWrites(table awsdynamodb.ITable, grantee awsiam.IGrantable) awsiam.Grant {
	grant := awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"),
		ResourceArns: &[]*string{table.TableArn()},
		Conditions: &map[string]*map[string]any{
			"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": jsii.Strings("TransactWriteItems")},
		},
	})
	if key := table.EncryptionKey(); key != nil {
		// What DynamoDB needs in the caller's name for a table with a customer-managed key.
		// Source: DynamoDB developer guide, encryption.usagenotes.
		grant = grant.Combine(key.Grant(grantee, *jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")...))
	}
	return grant
}

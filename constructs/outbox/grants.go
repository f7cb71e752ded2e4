package outbox

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// GrantWrite lets a writer use the outbox table in TransactWriteItems, and in no other operation: an
// event is written together with what it tells of, or not at all. A function of this app also gets the
// environment variables that outbox.FromEnv reads. The business tables of the transaction are granted
// with GrantTransactionWrites.
func (f *flow) GrantWrite(grantee awsiam.IGrantable) awsiam.Grant {
	f.needTable()
	f.setWriterVariables(grantee)
	return grantInTransaction(f.table, grantee, "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem")
}

// GrantReadVersions lets a writer read the outbox table's items, the counters of versions among them:
// what outbox.Tx.AppendNext needs besides GrantWrite.
func (f *flow) GrantReadVersions(grantee awsiam.IGrantable) awsiam.Grant {
	f.needTable()
	return grantGetItem(f.table, grantee)
}

// GrantPublish lets another producer put events on the bus.
func (f *flow) GrantPublish(grantee awsiam.IGrantable) awsiam.Grant {
	return f.eventBus.GrantPutEventsTo(grantee, nil)
}

// GrantTransactionWrites lets a writer put, update, delete and check items of a business table in
// TransactWriteItems, and in no other operation.
func GrantTransactionWrites(table awsdynamodb.ITable, grantee awsiam.IGrantable) awsiam.Grant {
	return grantInTransaction(table, grantee, "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem")
}

func (f *flow) needTable() {
	if f.table == nil {
		panic(fmt.Sprintf("outbox %s is imported without its table, so nobody can be granted to use it", *f.scope.Node().Path()))
	}
}

// grantInTransaction allows the actions within TransactWriteItems. There is no permission of that name:
// the actions inside are what IAM checks. Source: DynamoDB developer guide, transaction-apis-iam.
func grantInTransaction(table awsdynamodb.ITable, grantee awsiam.IGrantable, actions ...string) awsiam.Grant {
	grant := awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings(actions...),
		ResourceArns: &[]*string{table.TableArn()},
		Conditions: &map[string]*map[string]any{
			"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": jsii.Strings("TransactWriteItems")},
		},
	})
	if key := table.EncryptionKey(); key != nil {
		// What DynamoDB does in the caller's name for a table with a customer-managed key.
		// Source: DynamoDB developer guide, encryption.usagenotes.
		grant = grant.Combine(key.Grant(grantee, *jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")...))
	}
	return grant
}

func grantGetItem(table awsdynamodb.ITable, grantee awsiam.IGrantable) awsiam.Grant {
	grant := allowPrincipal(grantee, table.TableArn(), "dynamodb:GetItem")
	if key := table.EncryptionKey(); key != nil {
		grant = grant.Combine(key.GrantDecrypt(grantee))
	}
	return grant
}

func allowPrincipal(grantee awsiam.IGrantable, resource *string, actions ...string) awsiam.Grant {
	return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings(actions...),
		ResourceArns: &[]*string{resource},
	})
}

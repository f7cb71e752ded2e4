package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func newTable(scope constructs.Construct, p TransactionalOutboxProps) awsdynamodb.ITable {
	return awsdynamodb.NewTableV2(scope, jsii.String(tableID), &awsdynamodb.TablePropsV2{
		PartitionKey:        textKey(record.AttrPK),
		SortKey:             textKey(record.AttrSK),
		Billing:             awsdynamodb.Billing_OnDemand(nil),
		DynamoStream:        awsdynamodb.StreamViewType_NEW_IMAGE,
		TimeToLiveAttribute: jsii.String(record.AttrExpiresAt),
		Encryption:          tableEncryption(p),
		DeletionProtection:  p.DeletionProtection,
		RemovalPolicy:       p.RemovalPolicy,
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: orDefault(p.PointInTimeRecovery, jsii.Bool(false)),
		},
	})
}

func textKey(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: awsdynamodb.AttributeType_STRING}
}

func tableEncryption(p TransactionalOutboxProps) awsdynamodb.TableEncryptionV2 {
	if p.EncryptionKey == nil {
		return awsdynamodb.TableEncryptionV2_DynamoOwnedKey()
	}
	return awsdynamodb.TableEncryptionV2_CustomerManagedKey(p.EncryptionKey, nil)
}

// outboxTable wants a table that the pipe can read events from. What CDK does not know of an imported
// table is not checked.
func (f *problems) outboxTable(table awsdynamodb.ITable) {
	if table.TableStreamArn() == nil {
		f.add("Table has no stream: import it by TableAttributes with TableStreamArn, or give it a stream of NEW_IMAGE")
	}
}

package outbox

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// newTable adds the outbox table: on demand, with a stream of new images and TTL.
//
// Table and not TableV2: an outbox is in one region, TableV2 takes a customer-managed key only in a stack
// whose region is known, and it makes every synthesis print deprecation warnings of its own.
func newTable(scope constructs.Construct, p TransactionalOutboxProps) awsdynamodb.ITable {
	props := &awsdynamodb.TableProps{
		PartitionKey:        textKey(record.AttrPK),
		SortKey:             textKey(record.AttrSK),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		Stream:              awsdynamodb.StreamViewType_NEW_IMAGE,
		TimeToLiveAttribute: jsii.String(record.AttrExpiresAt),
		EncryptionKey:       p.EncryptionKey,
		DeletionProtection:  p.DeletionProtection,
		RemovalPolicy:       p.RemovalPolicy,
	}
	if p.PointInTimeRecovery != nil {
		props.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: p.PointInTimeRecovery,
		}
	}
	return awsdynamodb.NewTable(scope, jsii.String(tableID), props)
}

func textKey(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: awsdynamodb.AttributeType_STRING}
}

// outboxTable wants a table that the pipe can read events from. Of an imported table only the ARN of
// its stream is known.
func (f *problems) outboxTable(table awsdynamodb.ITable) {
	var stream, keys any
	switch cfn := table.Node().DefaultChild().(type) {
	case awsdynamodb.CfnTable:
		stream, keys = cfn.StreamSpecification(), cfn.KeySchema()
	case awsdynamodb.CfnGlobalTable:
		stream, keys = cfn.StreamSpecification(), cfn.KeySchema()
	default:
		if table.TableStreamArn() == nil {
			f.add("Table is imported without a stream: give its TableStreamArn to Table_FromTableAttributes")
		}
		return
	}
	f.outboxStream(table, stream)
	f.outboxKeys(table, keys)
}

func (f *problems) outboxStream(table awsdynamodb.ITable, specification any) {
	var stream struct{ StreamViewType string }
	resolve(table, specification, &stream)
	switch awsdynamodb.StreamViewType(stream.StreamViewType) {
	case awsdynamodb.StreamViewType_NEW_IMAGE, awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES:
	case "":
		f.add("Table has no stream, allowed is one with a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES")
	default:
		f.add("Table has a stream of %s, allowed are NEW_IMAGE and NEW_AND_OLD_IMAGES", stream.StreamViewType)
	}
}

func (f *problems) outboxKeys(table awsdynamodb.ITable, schema any) {
	var keys []struct{ AttributeName string }
	resolve(table, schema, &keys)
	var names []string
	for _, key := range keys {
		names = append(names, key.AttributeName)
	}
	if got, want := fmt.Sprint(names), fmt.Sprint([]string{record.AttrPK, record.AttrSK}); got != want {
		f.add("Table has the keys %s, allowed are %s", got, want)
	}
}

// resolve reads a property of an L1 construct, which jsii gives as a raw value or as a proxy.
func resolve(scope constructs.IConstruct, property, into any) {
	if property == nil {
		return
	}
	raw, err := json.Marshal(awscdk.Stack_Of(scope).Resolve(property))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		panic(fmt.Sprintf("property of %s: %v", *scope.Node().Path(), err))
	}
}

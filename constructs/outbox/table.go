package outbox

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// keepSettings are how what holds events or remembers them is kept: tables, dead-letter queues, the bus and its archive.
type keepSettings struct {
	encryptionKey       awskms.IKey
	removalPolicy       awscdk.RemovalPolicy
	deletionProtection  *bool
	pointInTimeRecovery *bool
}

// keep returns the removal policy of what holds events or remembers them. For a queue CDK's own default is DESTROY.
func (s keepSettings) keep() awscdk.RemovalPolicy {
	if s.removalPolicy == "" {
		return awscdk.RemovalPolicy_RETAIN
	}
	return s.removalPolicy
}

// newOutboxTable adds the table that the pipe reads.
func newOutboxTable(scope constructs.Construct, settings keepSettings) awsdynamodb.ITable {
	return newTable(scope, tableID, settings, awsdynamodb.TableProps{
		SortKey: textKey(record.AttrSK),
		Stream:  awsdynamodb.StreamViewType_NEW_IMAGE,
	})
}

// newInboxTable adds the table in which consumers remember the events that they have handled.
func newInboxTable(scope constructs.Construct, settings keepSettings) awsdynamodb.ITable {
	return newTable(scope, inboxTableID, settings, awsdynamodb.TableProps{})
}

// newTable adds a table, on demand and with TTL.
//
// Table and not TableV2: an outbox is in one region, TableV2 takes a customer-managed key only in a stack
// whose region is known, and it makes every synthesis print deprecation warnings of its own.
func newTable(scope constructs.Construct, id string, settings keepSettings, props awsdynamodb.TableProps) awsdynamodb.ITable {
	props.PartitionKey = textKey(record.AttrPK)
	props.BillingMode = awsdynamodb.BillingMode_PAY_PER_REQUEST
	props.TimeToLiveAttribute = jsii.String(record.AttrExpiresAt)
	props.EncryptionKey = settings.encryptionKey
	props.RemovalPolicy = settings.keep()
	props.DeletionProtection = settings.deletionProtection
	if settings.pointInTimeRecovery != nil {
		props.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: settings.pointInTimeRecovery,
		}
	}
	return awsdynamodb.NewTable(scope, &id, &props)
}

func textKey(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: awsdynamodb.AttributeType_STRING}
}

// outboxTable checks that the pipe can read events from a supplied table. Of an imported one only the ARN of its stream is
// known.
func (f *problems) outboxTable(table awsdynamodb.ITable) {
	stream, keys, ownedHere := layoutOf(table)
	if !ownedHere {
		if table.TableStreamArn() == nil {
			f.add("Table must be imported with its stream: give its TableStreamArn to Table_FromTableAttributes")
		}
		return
	}
	f.outboxStream(table, stream)
	f.keys("Table", table, keys, record.AttrPK, record.AttrSK)
}

// inboxTable checks that runtime/inbox can use a supplied table. Of an imported one nothing is known.
func (f *problems) inboxTable(table awsdynamodb.ITable) {
	if _, keys, ownedHere := layoutOf(table); ownedHere {
		f.keys("InboxTable", table, keys, record.AttrPK)
	}
}

// layoutOf returns the stream specification and the key schema of a table of this app.
func layoutOf(table awsdynamodb.ITable) (stream, keys any, ownedHere bool) {
	switch cfn := table.Node().DefaultChild().(type) {
	case awsdynamodb.CfnTable:
		return cfn.StreamSpecification(), cfn.KeySchema(), true
	case awsdynamodb.CfnGlobalTable:
		return cfn.StreamSpecification(), cfn.KeySchema(), true
	}
	return nil, nil, false
}

func (f *problems) outboxStream(table awsdynamodb.ITable, specification any) {
	var stream struct{ StreamViewType string }
	resolve(table, specification, &stream)
	switch awsdynamodb.StreamViewType(stream.StreamViewType) {
	case awsdynamodb.StreamViewType_NEW_IMAGE, awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES:
	case "":
		f.add("Table must have a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES, got none")
	default:
		f.add("Table must have a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES, got %s", stream.StreamViewType)
	}
}

func (f *problems) keys(prop string, table awsdynamodb.ITable, schema any, want ...string) {
	var keys []struct{ AttributeName string }
	resolve(table, schema, &keys)
	var names []string
	for _, key := range keys {
		names = append(names, key.AttributeName)
	}
	if !slices.Equal(names, want) {
		f.add("%s must have the keys %v, got %v", prop, want, names)
	}
}

// resolve reads a property of an L1 construct, which jsii returns as a raw value or as a proxy.
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

package outbox

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// GrantWrite lets a writer put events into the outbox table in TransactWriteItems, and in no other operation: an event is
// written together with what it is about, or not at all. Whoever has this grant may publish under the outbox's source.
// A function of this app also gets the environment variables that FromEnv of runtime/outbox reads. The business tables of
// the transaction are granted with [GrantTransactionWrites].
//
// It panics for an outbox that was imported without its table, and for a function that writes to another outbox already,
// because its environment names one. It also panics for a function of golambda.NewFunction whose own Environment has one of
// these variables; of other functions CDK does not tell, and the outbox's value takes the place of theirs.
func (f *flow) GrantWrite(grantee awsiam.IGrantable) awsiam.Grant {
	f.needTable()
	f.setWriterVariables(grantee)
	return GrantTransactionWrites(f.table, grantee, TransactAction_PUT)
}

// GrantReadVersions lets a writer read the outbox table's items, the counters of versions among them: what
// Tx.AppendNext of runtime/outbox needs besides GrantWrite. It panics for an outbox that was imported without its table.
func (f *flow) GrantReadVersions(grantee awsiam.IGrantable) awsiam.Grant {
	f.needTable()
	return grantGetItem(f.table, grantee, nil)
}

// GrantPublish lets another producer put events of the sources on the bus: one source or more, none of them the outbox's
// own, under which only what is committed may be published, or of AWS. It panics for any other.
func (f *flow) GrantPublish(grantee awsiam.IGrantable, sources *[]*string) awsiam.Grant {
	var found problems
	found.publishedSources(sources, f.source)
	found.refuse("GrantPublish of outbox", f.scope.Node().Path())
	return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("events:PutEvents"),
		ResourceArns: &[]*string{f.eventBus.EventBusArn()},
		// EventBridge asks for each event of a call. Source: EventBridge user guide, eb-event-bus-perms.
		Conditions: &map[string]*map[string]any{"StringEquals": {"events:source": sources}},
	})
}

func (f *problems) publishedSources(sources *[]*string, own *string) {
	if sources == nil {
		f.add("sources must name at least one source, got nil")
		return
	}
	f.texts("sources", sources, record.MaxSource)
	f.notHeartbeats("sources", sources, own)
	for i, source := range *sources {
		name := fmt.Sprintf("sources[%d]", i)
		f.notFromAWS(name, source)
		if source != nil && *source == *own {
			f.add("%s must not be the outbox's own source, got %q: its events are those that were committed, and GrantWrite is the way to write one", name, *source)
		}
	}
}

// A TransactAction is an action within TransactWriteItems.
type TransactAction string

// The actions of TransactWriteItems.
const (
	TransactAction_PUT             TransactAction = "Put"
	TransactAction_UPDATE          TransactAction = "Update"
	TransactAction_DELETE          TransactAction = "Delete"
	TransactAction_CONDITION_CHECK TransactAction = "ConditionCheck"
)

// transactPermissions are the permissions of the actions. TransactWriteItems has none of its own: IAM checks the actions
// inside. Source: DynamoDB developer guide, transaction-apis-iam.
var transactPermissions = map[TransactAction]string{
	TransactAction_PUT:             "dynamodb:PutItem",
	TransactAction_UPDATE:          "dynamodb:UpdateItem",
	TransactAction_DELETE:          "dynamodb:DeleteItem",
	TransactAction_CONDITION_CHECK: "dynamodb:ConditionCheckItem",
}

// A BusinessTable is a table that a consumer's function writes in its transactions.
type BusinessTable struct {
	// Table is the table. Required.
	Table awsdynamodb.ITable
	// Actions are what the function does with the table's items: one or more of Put, Update, Delete and ConditionCheck.
	// Required.
	Actions []TransactAction
}

// businessTables checks the tables of a consumer.
func (f *problems) businessTables(tables *[]*BusinessTable) {
	if tables == nil {
		return
	}
	for i, table := range *tables {
		name := fmt.Sprintf("BusinessTables[%d]", i)
		if table == nil || table.Table == nil {
			f.add("%s.Table is missing: the table that the function writes", name)
			continue
		}
		f.transactActions(name+".Actions", table.Actions)
	}
}

func (f *problems) transactActions(name string, actions []TransactAction) {
	if len(actions) == 0 {
		f.add("%s must name at least one of Put, Update, Delete and ConditionCheck, got none", name)
	}
	for _, action := range actions {
		if transactPermissions[action] == "" {
			f.add("%s must be of Put, Update, Delete and ConditionCheck, got %q", name, action)
		}
	}
}

// GrantTransactionWrites lets a writer do the actions to items of a table in TransactWriteItems, and in no other
// operation. It panics when it is given no table, no action, or an action that TransactWriteItems does not have.
func GrantTransactionWrites(table awsdynamodb.ITable, grantee awsiam.IGrantable, actions ...TransactAction) awsiam.Grant {
	if table == nil {
		panic("GrantTransactionWrites: the table must be the one that is written, got nil")
	}
	var found problems
	found.transactActions("actions", actions)
	found.refuse("GrantTransactionWrites on table", table.Node().Path())
	return grantInTransaction(table, grantee, actions, nil)
}

func (f *flow) needTable() {
	if f.table == nil {
		panic(fmt.Sprintf("outbox %s must be imported with its Table to grant its use", *f.scope.Node().Path()))
	}
}

// grantInTransaction allows the actions within TransactWriteItems, for the partition keys if there are any.
func grantInTransaction(table awsdynamodb.ITable, grantee awsiam.IGrantable, actions []TransactAction, keys leadingKeys) awsiam.Grant {
	var permissions []string
	for _, action := range actions {
		permissions = append(permissions, transactPermissions[action])
	}
	conditions := keys.conditions()
	conditions["ForAnyValue:StringEquals"] = &map[string]any{"dynamodb:EnclosingOperation": jsii.Strings("TransactWriteItems")}
	grant := awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings(permissions...),
		ResourceArns: &[]*string{table.TableArn()},
		Conditions:   &conditions,
	})
	if key := table.EncryptionKey(); key != nil {
		// What DynamoDB does in the caller's name for a table with a customer-managed key.
		// Source: DynamoDB developer guide, encryption.usagenotes.
		grant = grant.Combine(grantKeyVia(table, "dynamodb", key, grantee, "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"))
	}
	return grant
}

func grantGetItem(table awsdynamodb.ITable, grantee awsiam.IGrantable, keys leadingKeys) awsiam.Grant {
	conditions := keys.conditions()
	grant := awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings("dynamodb:GetItem"),
		ResourceArns: &[]*string{table.TableArn()},
		Conditions:   &conditions,
	})
	if key := table.EncryptionKey(); key != nil {
		grant = grant.Combine(grantKeyVia(table, "dynamodb", key, grantee, "kms:Decrypt"))
	}
	return grant
}

// leadingKeys are patterns of the partition keys to which a grant is limited; none is no limit.
type leadingKeys []string

// conditions returns the conditions of the limit. ForAllValues alone would also hold where there is no key at all.
//
// In a transaction, too, the key is known: ConditionCheckItem, which only transactions have, takes the condition.
// Source: service authorization reference, list_amazondynamodb; DynamoDB developer guide, specifying-conditions.
func (k leadingKeys) conditions() map[string]*map[string]any {
	if len(k) == 0 {
		return map[string]*map[string]any{}
	}
	return map[string]*map[string]any{
		"ForAllValues:StringLike": {"dynamodb:LeadingKeys": jsii.Strings(k...)},
		"Null":                    {"dynamodb:LeadingKeys": "false"},
	}
}

// grantKeyVia lets the grantee use the key, but only where the service does so in its name. In China the name of the
// service may end in ".cn". Source: KMS developer guide, conditions-kms, kms:ViaService.
func grantKeyVia(scope constructs.IConstruct, service string, key awskms.IKey, grantee awsiam.IGrantable, actions ...string) awsiam.Grant {
	via := fmt.Sprintf("%s.%s.amazonaws.com*", service, *awscdk.Stack_Of(scope).Region())
	return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings(actions...),
		ResourceArns: &[]*string{key.KeyArn()},
		Conditions:   &map[string]*map[string]any{"StringLike": {"kms:ViaService": via}},
	})
}

func allowPrincipal(grantee awsiam.IGrantable, resource *string, actions ...string) awsiam.Grant {
	return awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
		Grantee:      grantee,
		Actions:      jsii.Strings(actions...),
		ResourceArns: &[]*string{resource},
	})
}

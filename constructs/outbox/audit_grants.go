package outbox

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// grant lets the auditor do what it does without any consumer, and returns what it needs to read the stream.
func (a *auditor) grant() awsiam.Grant {
	o := a.outbox
	a.allow(a.table.TableArn(), "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem")
	a.useKey("dynamodb", a.table.EncryptionKey())
	grantQueue(a.queue, a.function, "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
	grantQueue(a.deadLetterQueue, a.function, "sqs:SendMessage")
	a.grantParameters()
	a.allow(o.pipe.AttrArn(), "pipes:DescribePipe") // when it was created
	if a.repairs() {
		grantGetItem(o.table, a.function, nil)
		grantQueue(o.pipeDeadLetterQueue, a.function, peekActions...)
		grantQueue(o.ruleDeadLetterQueue, a.function, peekActions...)
	}
	// Source: Lambda developer guide, services-dynamodb-eventsourcemapping.
	grant := allowPrincipal(a.function, o.table.TableStreamArn(), "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
	grant = grant.Combine(allowPrincipal(a.function, jsii.String("*"), "dynamodb:ListStreams"))
	if key := o.table.EncryptionKey(); key != nil {
		grant = grant.Combine(grantKeyVia(o, "dynamodb", key, a.function, "kms:Decrypt"))
	}
	return grant
}

// peekActions are what looking into a dead-letter queue takes: the messages stay, and are visible again at once.
var peekActions = []string{"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}

func (a *auditor) allow(resource *string, actions ...string) {
	allowPrincipal(a.function, resource, actions...)
}

// useKey lets the auditor use the key of a table or a queue, if there is one, through the service. Granting it again changes
// nothing.
func (a *auditor) useKey(service string, key awskms.IKey) {
	if key != nil {
		grantKeyVia(a.outbox, service, key, a.function, "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
	}
}

// grantParameters lets the auditor read the descriptions of the outbox and its consumers, and no other. The resource is the
// path as it is asked for, and who may read a path may read all below it.
// Source: Systems Manager API reference, GetParametersByPath, and user guide, sysman-paramstore-access; a denial names the
// path without a slash at its end, for example in aws/aws-dotnet-extensions-configuration issue 108.
func (a *auditor) grantParameters() {
	a.allow(awscdk.Stack_Of(a.outbox).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("ssm"), Resource: jsii.String("parameter"), ResourceName: jsii.String(strings.TrimPrefix(*a.outbox.parameterPath(), "/")),
	}), "ssm:GetParametersByPath")
}

// An inboxGrant lets the auditor read the receipts of consumers in one inbox table. It is one statement for all of them,
// because the policies of a role have at most 10,240 characters together.
// Source: IAM user guide, reference_iam-quotas.
type inboxGrant struct {
	statement awsiam.PolicyStatement
	keys      leadingKeys
}

// grantInbox lets the auditor read what a consumer's effects leave in the inbox, and nothing that other consumers keep
// there.
func (a *auditor) grantInbox(table awsdynamodb.ITable, consumer string, ordered bool) {
	grant, ok := a.inboxes[*table.TableArn()]
	if !ok {
		grant = &inboxGrant{statement: allow(table.TableArn(), "dynamodb:BatchGetItem")}
		a.inboxes[*table.TableArn()] = grant
		a.function.AddToRolePolicy(grant.statement)
		if key := table.EncryptionKey(); key != nil {
			grantKeyVia(a.outbox, "dynamodb", key, a.function, "kms:Decrypt")
		}
	}
	grant.keys = append(grant.keys, receiptKeys(consumer, ordered)...)
	conditions := grant.keys.conditions()
	for _, operator := range slices.Sorted(maps.Keys(conditions)) { // in an order that is the same at every synth
		grant.statement.AddCondition(&operator, *conditions[operator])
	}
}

// receiptKeys are the keys of what the auditor reads: a consumer's markers, or the positions of one in order, with where it
// began.
func receiptKeys(consumer string, ordered bool) leadingKeys {
	if !ordered {
		return leadingKeys{"event#" + consumer + "#*"}
	}
	return leadingKeys{"position#" + consumer + "#*", "join#" + consumer, "start#" + consumer + "#*"}
}

// grantQueues lets the auditor see since when there is a consumer's queue, and with Repair how many messages are in it and
// what waits in its dead-letter queues; only then may it send there. Queues that are not known are nil.
func (a *auditor) grantQueues(queue awssqs.IQueue, deadLetterQueues ...awssqs.IQueue) {
	switch {
	case queue != nil && a.repairs():
		grantQueue(queue, a.function, "sqs:GetQueueAttributes", "sqs:SendMessage")
	case queue != nil:
		a.allow(queue.QueueArn(), "sqs:GetQueueAttributes")
	}
	for _, one := range deadLetterQueues {
		if one != nil && a.repairs() {
			grantQueue(one, a.function, peekActions...)
		}
	}
}

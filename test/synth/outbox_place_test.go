package synth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// stackIn is a stack whose account and region are known.
func stackIn(t *testing.T, account, region string) awscdk.Stack {
	t.Helper()
	return awscdk.NewStack(newApp(t, noBundling), jsii.String("Stack"), &awscdk.StackProps{Env: &awscdk.Environment{Account: &account, Region: &region}})
}

// A rule on a bus of another region would silently be made on the bus of that name in this one.
func TestSuppliedPartsOfAnotherAccountOrRegionAreRefused(t *testing.T) {
	stack := stackIn(t, "111111111111", "eu-west-1")
	bus := func(id, arn string) awsevents.IEventBus { return awsevents.EventBus_FromEventBusArn(stack, &id, &arn) }
	queue := func(id, arn string) awssqs.IQueue { return awssqs.Queue_FromQueueArn(stack, &id, &arn) }
	table := func(id, arn string) awsdynamodb.ITable { return awsdynamodb.Table_FromTableArn(stack, &id, &arn) }
	message := refused(t, func() {
		outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
			Source:        jsii.String("orders"),
			EventBus:      bus("Bus", "arn:aws:events:us-east-1:222222222222:event-bus/orders"),
			InboxTable:    table("Inbox", "arn:aws:dynamodb:us-east-1:111111111111:table/inbox"),
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:us-east-1:222222222222:key/0a1b2c3d-0000-4000-8000-000000000001")),
			Alarms:        &outbox.AlarmProps{Topic: awssns.Topic_FromTopicArn(stack, jsii.String("Topic"), jsii.String("arn:aws:sns:us-east-1:222222222222:on-call"))},
			Table: awsdynamodb.Table_FromTableAttributes(stack, jsii.String("Table"), &awsdynamodb.TableAttributes{
				TableArn:       jsii.String("arn:aws:dynamodb:eu-west-1:222222222222:table/outbox"),
				TableStreamArn: jsii.String("arn:aws:dynamodb:eu-west-1:222222222222:table/outbox/stream/2026-11-23T00:00:00.000"),
			}),
		})
	})
	wants(t, message,
		"EventBus must be in the stack's account 111111111111, got one in 222222222222: rules, pipes and archives work only with a bus of their own account and region",
		"EventBus must be in the stack's region eu-west-1, got one in us-east-1",
		"InboxTable must be in the stack's region eu-west-1, got one in us-east-1: functions find it by its name",
		"EncryptionKey must be in the stack's region eu-west-1, got one in us-east-1: each service takes only keys of its own region",
		"Alarms.Topic must be in the stack's region eu-west-1, got one in us-east-1: alarms notify only topics of their own region",
		"\nTable must be in the stack's account 111111111111, got one in 222222222222: a pipe reads only a stream of its own account and region",
	)
	message = refused(t, func() {
		outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Import"), &outbox.TransactionalOutboxAttributes{
			Source: jsii.String("orders"), EventBus: bus("OtherBus", "arn:aws:events:eu-west-1:222222222222:event-bus/orders"),
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("OtherKey"), jsii.String("arn:aws:kms:us-east-1:111111111111:key/0a1b2c3d-0000-4000-8000-000000000001")),
			Alarms:        &outbox.AlarmProps{Topic: awssns.Topic_FromTopicArn(stack, jsii.String("OtherTopic"), jsii.String("arn:aws:sns:us-east-1:111111111111:on-call"))},
		})
	})
	wants(t, message,
		"EventBus must be in the stack's account 111111111111, got one in 222222222222",
		"EncryptionKey must be in the stack's region eu-west-1, got one in us-east-1",
		"Alarms.Topic must be in the stack's region eu-west-1, got one in us-east-1")
	message = refused(t, func() {
		outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Import"), &outbox.TransactionalOutboxAttributes{
			Source: jsii.String("orders"), EventBus: awsevents.EventBus_FromEventBusName(stack, jsii.String("ByARN"), jsii.String(busARN)),
		})
	})
	wants(t, message, `EventBus must have a name of 1 to 256 of the characters A-Z a-z 0-9 / . _ -, got "`+busARN+`"`)
	box := newOutbox(stack)
	message = refused(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			Function:        awslambda.Function_FromFunctionArn(stack, jsii.String("Function"), jsii.String("arn:aws:lambda:eu-west-1:222222222222:function:ship")),
			Queue:           queue("Queue", "arn:aws:sqs:us-east-1:111111111111:ship"),
			DeadLetterQueue: queue("DLQ", "arn:aws:sqs:eu-west-1:222222222222:ship-dlq"),
			BusinessTables: &[]*outbox.BusinessTable{{
				Table: table("Shipments", "arn:aws:dynamodb:us-east-1:111111111111:table/shipments"), Actions: []outbox.TransactAction{outbox.TransactAction_PUT},
			}},
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
		})
	})
	wants(t, message,
		"Function must be in the stack's account 111111111111, got one in 222222222222: an event source mapping is made in the function's account and region",
		"\nQueue must be in the stack's region eu-west-1, got one in us-east-1: rules and Lambda reach only queues of their own region",
		"DeadLetterQueue must be in the stack's account 111111111111, got one in 222222222222: SQS moves messages only within an account and a region",
		"BusinessTables[0].Table must be in the stack's region eu-west-1, got one in us-east-1: a transaction spans no other account or region",
	)
}

// Where a stack fits any account and region, nothing is known and nothing refused.
func TestSuppliedPartsOfAStackForAnyRegionAreNotRefused(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{EventBus: awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN))})
	})
	stack = stackIn(t, "111111111111", "eu-west-1")
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{
			EventBus: awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
			// A key and a topic may be of another account.
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-west-1:222222222222:key/0a1b2c3d-0000-4000-8000-000000000001")),
			Alarms:        &outbox.AlarmProps{Topic: awssns.Topic_FromTopicArn(stack, jsii.String("Topic"), jsii.String("arn:aws:sns:eu-west-1:222222222222:on-call"))},
		})
	})
}

func TestRegionsWithoutPipesAreWarnedOf(t *testing.T) {
	for region, warned := range map[string]bool{
		"us-gov-west-1": true, "us-gov-east-1": true, "mx-central-1": true, "il-central-1": true, "ca-west-1": true,
		"ap-southeast-4": true, "ap-southeast-7": true, "ap-east-2": true,
		"eu-west-1": false, "ap-southeast-1": false, "ap-east-1": false,
	} {
		stack := stackIn(t, "111111111111", region)
		guard(t, func() { newOutbox(stack) })
		told := annotations(stack.Node().FindChild(jsii.String("Outbox")))
		if !warned && told != "" {
			t.Errorf("in %s the synthesis warns %q, want nothing", region, told)
		}
		if warned {
			wants(t, told, "the region "+region+" had no EventBridge Pipes in November 2026")
		}
	}
	stack := newStack(t)
	guard(t, func() { newOutbox(stack) })
	if told := warnings(t, stack); len(told) > 0 {
		t.Errorf("without a region the synthesis warns %q, want nothing", told)
	}
}

// annotations are what a construct tells at synth. The newest CDK also fails the synthesis of what its own list of
// resource types lacks in a region.
func annotations(of constructs.IConstruct) string {
	var told []string
	for _, entry := range *of.Node().Metadata() {
		told = append(told, fmt.Sprint(entry.Data))
	}
	return strings.Join(told, "\n")
}

// wants compares a message with what must be in it.
func wants(t *testing.T, message string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("it says %q, want in it %q", message, part)
		}
	}
}

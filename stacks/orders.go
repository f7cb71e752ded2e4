// Package stacks holds the environments and the stacks of the reference application.
package stacks

import (
	"cmp"
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// The events of the orders service, by aggregate.
const (
	ordersSource = "orders"

	orderAggregate = "Order"
	orderCreated   = "OrderCreated" // a status change is OrderUpdated, which no rule needs to name

	shipmentRequested = "ShipmentRequested" // of the aggregate Shipment
)

// NewOrdersStack adds the stack Orders-<environment>, the reference application: an API that writes orders together
// with their events, and the consumers of the events.
func NewOrdersStack(scope constructs.Construct, env Environment) awscdk.Stack {
	stack := awscdk.NewStack(scope, jsii.String("Orders-"+env.Name), &awscdk.StackProps{
		Description:           jsii.String("Orders with a transactional outbox, " + env.Name),
		Env:                   deployTo(env.Pin),
		TerminationProtection: jsii.Bool(env.DeletionProtection),
	})
	// An order is the item with entity "order" under its id; its shipment and history stand beside it.
	orders := newTable(stack, "Orders", "id", "entity", env)
	notifications := newTable(stack, "Notifications", "customerId", "notification", env)
	box := newOutbox(stack, env)
	one := addPublisherOne(box, orders, env)
	two := addPublisherTwo(box, notifications, env)
	updated := addOrderUpdatedPublisher(box, orders, env)
	api := newOrdersAPI(stack, env, orders, box)

	output(stack, "ApiUrl", "the API: POST orders, GET and PATCH orders/{id}", api.Url())
	output(stack, "OrdersTableName", "the table of orders, their shipments and their history", orders.TableName())
	output(stack, "NotificationsTableName", "the table of what customers were told", notifications.TableName())
	outboxOutputs(stack, box)
	consumerOutputs(stack, "PublisherOne", one)
	consumerOutputs(stack, "PublisherTwo", two)
	consumerOutputs(stack, "OrderUpdatedPublisher", updated)
	return stack
}

// deployTo returns the account and region of the pin, else those of the CDK CLI's credentials, else none: then the template
// fits any account and region.
func deployTo(pin Pin) *awscdk.Environment {
	account := cmp.Or(pin.Account, os.Getenv("CDK_DEFAULT_ACCOUNT"))
	region := pin.Region
	// Without credentials the CLI still names a region, but nobody's.
	if region == "" && account != "" {
		region = os.Getenv("CDK_DEFAULT_REGION")
	}
	env := &awscdk.Environment{}
	if account != "" {
		env.Account = &account
	}
	if region != "" {
		env.Region = &region
	}
	return env
}

// newTable adds a business table. It has no stream: what the rest of the company must hear goes to the outbox.
func newTable(scope constructs.Construct, id, partitionKey, sortKey string, env Environment) awsdynamodb.ITable {
	return awsdynamodb.NewTable(scope, jsii.String(id), &awsdynamodb.TableProps{
		BillingMode:        awsdynamodb.BillingMode_PAY_PER_REQUEST,
		PartitionKey:       &awsdynamodb.Attribute{Name: jsii.String(partitionKey), Type: awsdynamodb.AttributeType_STRING},
		SortKey:            &awsdynamodb.Attribute{Name: jsii.String(sortKey), Type: awsdynamodb.AttributeType_STRING},
		RemovalPolicy:      env.RemovalPolicy,
		DeletionProtection: jsii.Bool(env.DeletionProtection),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(env.PointInTimeRecovery),
		},
	})
}

func newOutbox(scope constructs.Construct, env Environment) *outbox.TransactionalOutbox {
	props := &outbox.TransactionalOutboxProps{
		Source:              jsii.String(ordersSource),
		EventRetention:      awscdk.Duration_Days(jsii.Number(env.EventRetentionDays)),
		RemovalPolicy:       env.RemovalPolicy,
		DeletionProtection:  jsii.Bool(env.DeletionProtection),
		PointInTimeRecovery: jsii.Bool(env.PointInTimeRecovery),
		LogRetention:        env.LogRetention,
		Alarms:              &outbox.AlarmProps{Topic: alarmTopic(scope, env)},
		Monitor:             &outbox.MonitorProps{},
		Audit:               &outbox.AuditProps{},
		Dashboard:           jsii.Bool(env.Dashboard),
	}
	if env.ArchiveDays > 0 {
		props.ArchiveRetention = awscdk.Duration_Days(jsii.Number(env.ArchiveDays))
	}
	return outbox.NewTransactionalOutbox(scope, jsii.String("Outbox"), props)
}

// alarmTopic returns the topic that is notified of alarms, or nil when there is nobody to notify.
func alarmTopic(scope constructs.Construct, env Environment) awssns.ITopic {
	switch {
	case env.AlarmTopicARN != "":
		return awssns.Topic_FromTopicArn(scope, jsii.String("AlarmTopic"), jsii.String(env.AlarmTopicARN))
	case env.AlarmEmail != "":
		topic := awssns.NewTopic(scope, jsii.String("AlarmTopic"), &awssns.TopicProps{EnforceSSL: jsii.Bool(true)})
		awssns.NewSubscription(scope, jsii.String("AlarmEmail"), &awssns.SubscriptionProps{
			Topic:    topic,
			Protocol: awssns.SubscriptionProtocol_EMAIL,
			Endpoint: jsii.String(env.AlarmEmail),
		})
		return topic
	case env.Production:
		awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("orders:silent-alarms"), jsii.String(fmt.Sprintf(
			"the alarms of %s notify nobody: set alarmEmail or alarmTopicArn of %q in the context \"environments\"", env.Name, env.Name)), nil)
	}
	return nil
}

func outboxOutputs(stack awscdk.Stack, box *outbox.TransactionalOutbox) {
	output(stack, "OutboxTableName", "the table of events", box.Table().TableName())
	output(stack, "InboxTableName", "the table of what consumers have handled", box.InboxTable().TableName())
	output(stack, "EventBusName", "the bus that carries the events", box.EventBus().EventBusName())
	output(stack, "EventBusArn", "the bus that carries the events", box.EventBus().EventBusArn())
	output(stack, "PipeDeadLetterQueueUrl", "positions of stream records that the pipe could not deliver", box.PipeDeadLetterQueue().QueueUrl())
	output(stack, "RuleDeadLetterQueueUrl", "events that the bus could not deliver to a queue", box.RuleDeadLetterQueue().QueueUrl())
}

func consumerOutputs(stack awscdk.Stack, id string, c *outbox.Consumer) {
	output(stack, id+"QueueUrl", "events for "+id, c.Queue().QueueUrl())
	output(stack, id+"DeadLetterQueueUrl", "events that "+id+" could not handle", c.DeadLetterQueue().QueueUrl())
}

// output names what a person or a script needs after the deployment. The ids are part of the contract.
func output(stack awscdk.Stack, id, description string, value *string) {
	awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(description)})
}

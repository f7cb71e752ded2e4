package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// The folders of the functions, relative to the app's cdk.json.
const (
	publisherOneEntry          = "lambdas/order-created-publisher-one"
	publisherTwoEntry          = "lambdas/order-created-publisher-two"
	orderUpdatedPublisherEntry = "lambdas/order-updated-publisher"
	updateOrderEntry           = "lambdas/update-order"

	// Of the outbox itself, for Monitor and Audit.
	heartbeatEntry = "constructs/functions/heartbeat"
	auditorEntry   = "constructs/functions/auditor"
)

// FunctionEntries returns the folders of all functions, so that the app can have them built at once.
func FunctionEntries() []string {
	return []string{publisherOneEntry, publisherTwoEntry, orderUpdatedPublisherEntry, updateOrderEntry, heartbeatEntry, auditorEntry}
}

// The environment variables with which functions find their business tables.
const (
	envOrdersTable        = "ORDERS_TABLE"
	envNotificationsTable = "NOTIFICATIONS_TABLE"
)

// addPublisherOne adds the consumer that has new orders shipped, and publishes that through the same outbox. Why it is
// called a publisher, lambdas/order-created-publisher-one says.
func addPublisherOne(box *outbox.TransactionalOutbox, orders awsdynamodb.ITable, env Environment) *outbox.Consumer {
	consumer := box.AddConsumer(jsii.String("PublisherOne"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings(orderCreated),
		GoFunction: &golambda.FunctionProps{
			Entry:       jsii.String(publisherOneEntry),
			Environment: &map[string]*string{envOrdersTable: orders.TableName()},
		},
		BusinessTables: putsInto(orders),
		MaxConcurrency: jsii.Number(env.ConsumerConcurrency),
	})
	box.GrantWrite(consumer.Function())
	return consumer
}

// addPublisherTwo adds the consumer that notifies customers of what happens to their orders.
func addPublisherTwo(box *outbox.TransactionalOutbox, notifications awsdynamodb.ITable, env Environment) *outbox.Consumer {
	return box.AddConsumer(jsii.String("PublisherTwo"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings(orderCreated, shipmentRequested),
		GoFunction: &golambda.FunctionProps{
			Entry:       jsii.String(publisherTwoEntry),
			Environment: &map[string]*string{envNotificationsTable: notifications.TableName()},
		},
		BusinessTables: putsInto(notifications),
		MaxConcurrency: jsii.Number(env.ConsumerConcurrency),
	})
}

// addOrderUpdatedPublisher adds the consumer that keeps the history of orders. It gets every event of an order, because
// it handles them in the order of their versions, and a type that it does not receive would look like a lost event.
func addOrderUpdatedPublisher(box *outbox.TransactionalOutbox, orders awsdynamodb.ITable, env Environment) *outbox.Consumer {
	return box.AddConsumer(jsii.String("OrderUpdatedPublisher"), &outbox.ConsumerProps{
		AggregateTypes: jsii.Strings(orderAggregate),
		Ordered:        jsii.Bool(true),
		GoFunction: &golambda.FunctionProps{
			Entry:       jsii.String(orderUpdatedPublisherEntry),
			Environment: &map[string]*string{envOrdersTable: orders.TableName()},
		},
		BusinessTables: putsInto(orders),
		MaxConcurrency: jsii.Number(env.ConsumerConcurrency),
	})
}

// putsInto names the table as one into which a consumer puts items in its transactions.
func putsInto(table awsdynamodb.ITable) *[]*outbox.BusinessTable {
	return &[]*outbox.BusinessTable{{Table: table, Actions: []outbox.TransactAction{outbox.TransactAction_PUT}}}
}

// newUpdateOrder adds the function that moves orders on. It may read an order, and write one in a transaction only.
func newUpdateOrder(scope constructs.Construct, orders awsdynamodb.ITable, box *outbox.TransactionalOutbox, env Environment) awslambda.IFunction {
	function := golambda.NewFunction(scope, jsii.String("UpdateOrder"), &golambda.FunctionProps{
		Entry:         jsii.String(updateOrderEntry),
		Environment:   &map[string]*string{envOrdersTable: orders.TableName()},
		Description:   jsii.String("PATCH /orders/{id}"),
		LogRetention:  env.LogRetention,
		RemovalPolicy: env.RemovalPolicy,
	})
	function.AddToRolePolicy(allow("dynamodb:GetItem", orders))
	outbox.GrantTransactionWrites(orders, function, outbox.TransactAction_UPDATE)
	box.GrantWrite(function)
	return function
}

// allow returns the statement that allows the action on the table.
func allow(action string, table awsdynamodb.ITable) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(action),
		Resources: &[]*string{table.TableArn()},
	})
}

package outbox_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// A whole app: an outbox, and a consumer that writes its own table once for each order.
func Example() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Orders"), nil)
	shipments := awsdynamodb.NewTable(stack, jsii.String("Shipments"), &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("orderId"), Type: awsdynamodb.AttributeType_STRING},
	})

	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings("OrderCreated"),
		GoFunction: &golambda.FunctionProps{
			Entry:       jsii.String("lambdas/shipping"),
			Environment: &map[string]*string{"SHIPMENTS_TABLE": shipments.TableName()},
		},
		BusinessTables: &[]*outbox.BusinessTable{{
			Table: shipments, Actions: []outbox.TransactAction{outbox.TransactAction_PUT},
		}},
	})

	app.Synth(nil)
}

// Alarms notify a topic. The events of the last 30 days can be replayed.
func ExampleNewTransactionalOutbox() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)

	outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source:             jsii.String("orders"),
		ArchiveRetention:   awscdk.Duration_Days(jsii.Number(30)),
		DeletionProtection: jsii.Bool(true),
		Alarms: &outbox.AlarmProps{
			Topic: awssns.Topic_FromTopicArn(stack, jsii.String("OnCall"), jsii.String("arn:aws:sns:eu-west-1:111111111111:on-call")),
		},
	})
}

// Nothing waits unseen: a heartbeat, the audit of every effect, alarms, and a dashboard.
func ExampleNewTransactionalOutbox_watched() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)

	outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source:  jsii.String("orders"),
		Alarms:  &outbox.AlarmProps{Topic: awssns.NewTopic(stack, jsii.String("OnCall"), nil)},
		Monitor: &outbox.MonitorProps{MaximumLag: awscdk.Duration_Minutes(jsii.Number(2))},
		Audit: &outbox.AuditProps{
			Repair: &outbox.RepairProps{MaximumPerMinute: jsii.Number(30)},
			Consumers: &[]*outbox.AuditedConsumer{{ // of another app
				Name:       jsii.String("Analytics/Orders/Revenue"),
				InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("RevenueInbox"), jsii.String("revenue-inbox")),
				EventTypes: jsii.Strings("OrderCreated"),
			}},
		},
		Dashboard: jsii.Bool(true),
	})
}

// A consumer that handles the events of each order in the order of their versions. Its name stays the same
// wherever the construct moves to.
func ExampleTransactionalOutbox_AddConsumer_ordered() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)
	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})

	box.AddConsumer(jsii.String("History"), &outbox.ConsumerProps{
		Name:           jsii.String("orders/history"),
		AggregateTypes: jsii.Strings("Order"),
		Ordered:        jsii.Bool(true),
		GoFunction:     &golambda.FunctionProps{Entry: jsii.String("lambdas/history")},
	})
}

// A function that writes orders together with their events.
func ExampleTransactionalOutbox_GrantWrite() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)
	orders := awsdynamodb.NewTable(stack, jsii.String("Orders"), &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("id"), Type: awsdynamodb.AttributeType_STRING},
	})
	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	writer := golambda.NewFunction(stack, jsii.String("Writer"), &golambda.FunctionProps{
		Entry: jsii.String("lambdas/writer"),
	})

	box.GrantWrite(writer)
	box.GrantReadVersions(writer) // for Tx.AppendNext
	outbox.GrantTransactionWrites(orders, writer, outbox.TransactAction_PUT, outbox.TransactAction_UPDATE)
}

// A consumer of an outbox that another app has deployed. What is not said of the outbox counts as the longest
// that there can be for how long the consumer remembers an event.
func Example_fromAttributes() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Analytics"), nil)

	orders := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
		Source:           jsii.String("orders"),
		EventBus:         awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), jsii.String("orders")),
		EventRetention:   awscdk.Duration_Days(jsii.Number(7)),
		ArchiveRetention: awscdk.Duration_Days(jsii.Number(30)),
	})
	orders.AddConsumer(jsii.String("Revenue"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings("OrderCreated"),
		GoFunction: &golambda.FunctionProps{Entry: jsii.String("lambdas/revenue")},
	})
}

// A function that takes an outbox of this app or an imported one.
func ExampleITransactionalOutbox() {
	addAudit := func(box outbox.ITransactionalOutbox) *outbox.Consumer {
		return box.AddConsumer(jsii.String("Audit"), &outbox.ConsumerProps{
			GoFunction: &golambda.FunctionProps{Entry: jsii.String("lambdas/audit")},
		})
	}

	app := awscdk.NewApp(nil)
	orders := awscdk.NewStack(app, jsii.String("Orders"), nil)
	own := outbox.NewTransactionalOutbox(orders, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	addAudit(own)

	finance := awscdk.NewStack(app, jsii.String("Finance"), nil)
	addAudit(outbox.TransactionalOutbox_FromAttributes(finance, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
		Source:         own.Source(),
		EventBus:       own.EventBus(),
		EventRetention: own.EventRetention(),
	}))
}

// Another team publishes its own events on the bus, and has a function that consumes without an inbox,
// because showing an event twice does no harm.
func ExampleTransactionalOutbox_GrantPublish() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)
	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})

	box.GrantPublish(awsiam.Role_FromRoleName(stack, jsii.String("Publisher"), jsii.String("publisher"), nil), jsii.Strings("invoices"))
	box.AddConsumer(jsii.String("Dashboard"), &outbox.ConsumerProps{
		Inbox:             outbox.Inbox_NONE,
		Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Show"), jsii.String("dashboard")),
		VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
	})
}

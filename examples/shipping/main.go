// Command shipping is a whole CDK app: an outbox, and a consumer that makes one shipment of each order.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shipping"), nil)
	newTable := func(id string) awsdynamodb.Table {
		return awsdynamodb.NewTable(stack, jsii.String(id), &awsdynamodb.TableProps{
			PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("orderId"), Type: awsdynamodb.AttributeType_STRING},
		})
	}
	newTable("Orders") // what the writer stores
	shipments := newTable("Shipments")

	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	box.AddConsumer(jsii.String("Ship"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings("OrderCreated"),
		GoFunction: &golambda.FunctionProps{
			Entry:       jsii.String("lambdas/ship"),
			Environment: &map[string]*string{"SHIPMENTS_TABLE": shipments.TableName()},
		},
		BusinessTables: &[]*outbox.BusinessTable{{
			Table: shipments, Actions: []outbox.TransactAction{outbox.TransactAction_PUT},
		}},
	})

	app.Synth(nil)
}

// Command shipping is a whole CDK app: an outbox, and a consumer that ships what was ordered.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Shipping"), nil)

	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	box.AddConsumer(jsii.String("Ship"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings("OrderCreated"),
		Entry:      jsii.String("lambdas/ship"),
	})

	app.Synth(nil)
}

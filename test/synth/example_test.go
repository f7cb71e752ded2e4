package synth

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// exampleStack is a stack whose cloud assembly is in a folder that the example removes.
func exampleStack() (stack awscdk.Stack, remove func()) {
	folder, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: &folder, Context: &map[string]any{"aws:cdk:bundling-stacks": []string{}}})
	return awscdk.NewStack(app, jsii.String("Example"), nil), func() { os.RemoveAll(folder) }
}

// An outbox, and a consumer of one of its event types.
func Example_transactionalOutbox() {
	stack, remove := exampleStack()
	defer remove()

	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	consumer := box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
		EventTypes: jsii.Strings("OrderCreated"),
		Entry:      jsii.String("test/synth/testdata/greet"),
	})

	fmt.Println(*consumer.Queue().Node().Path())
	// Output: Example/Outbox/Shipping/Queue
}

// What may write events, and what may publish on the bus without the table.
func Example_grants() {
	stack, remove := exampleStack()
	defer remove()
	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
	})
	role := awsiam.NewRole(stack, jsii.String("Api"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
	})

	fmt.Println(*box.GrantWrite(role).Success(), *box.GrantPublish(role, jsii.Strings("billing")).Success())
	// Output: true true
}

// Alarms that tell a topic.
func Example_alarms() {
	stack, remove := exampleStack()
	defer remove()

	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
		Source: jsii.String("orders"),
		Alarms: &outbox.AlarmProps{Topic: awssns.NewTopic(stack, jsii.String("OnCall"), nil)},
	})

	fmt.Println(*box.MetricPipeFailed(nil).MetricName())
	// Output: ExecutionFailed
}

// A consumer of an outbox that another app has deployed.
func Example_fromAttributes() {
	stack, remove := exampleStack()
	defer remove()

	orders := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
		Source:   jsii.String("orders"),
		EventBus: awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), jsii.String("orders")),
	})
	orders.AddConsumer(jsii.String("Analytics"), &outbox.ConsumerProps{
		Entry: jsii.String("test/synth/testdata/greet"),
	})

	fmt.Println(*orders.RuleDeadLetterQueue().Node().Path())
	// Output: Example/Orders/RuleDeadLetterQueue
}

// A Go function without an outbox.
func Example_goFunction() {
	golambda.Prebuild(golambda.ARM64, "test/synth/testdata/greet") // before the app
	stack, remove := exampleStack()
	defer remove()

	function := golambda.NewFunction(stack, jsii.String("Greet"), &golambda.FunctionProps{
		Entry: jsii.String("test/synth/testdata/greet"),
	})

	fmt.Println(*function.Runtime().Name())
	// Output: provided.al2023
}

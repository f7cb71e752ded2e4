package golambda_test

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

// A function of the program in lambdas/greet, which is built while the CDK starts.
func ExampleNewFunction() {
	golambda.Prebuild(golambda.ARM64, "lambdas/greet")
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Greetings"), nil)

	golambda.NewFunction(stack, jsii.String("Greet"), &golambda.FunctionProps{
		Entry:       jsii.String("lambdas/greet"),
		MemorySize:  jsii.Number(256),
		Environment: &map[string]*string{"GREETING": jsii.String("hello")},
	})

	app.Synth(nil)
}

// Build flags, and what CDK's own functions can do besides: here a VPC and more space in /tmp.
func ExampleFunctionProps() {
	build := &golambda.BuildOptions{
		Tags:    jsii.Strings("netgo"),
		LDFlags: jsii.Strings("-X main.version=1.2.3"),
	}
	build.Prebuild(golambda.ARM64, "lambdas/greet")
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("Greetings"), nil)

	golambda.NewFunction(stack, jsii.String("Greet"), &golambda.FunctionProps{
		Entry: jsii.String("lambdas/greet"),
		Build: build,
		Options: &awslambda.FunctionOptions{
			Vpc:                  awsec2.NewVpc(stack, jsii.String("Vpc"), nil),
			EphemeralStorageSize: awscdk.Size_Gibibytes(jsii.Number(1)),
		},
	})

	app.Synth(nil)
}

// A function that a library ships, in a module that the app's go.mod requires. The library's own go.mod says what it needs.
func ExampleFunctionProps_module() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Greetings"), nil)

	golambda.NewFunction(stack, jsii.String("Sweep"), &golambda.FunctionProps{
		Module: jsii.String("example.com/sweeper"),
		Entry:  jsii.String("functions/sweep"),
	})
}

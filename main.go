// Command transactional-outbox is the CDK app of the reference application: the stack Orders-<environment> for
// each environment, or for the one that the context names (`-c environment=dev`).
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/stacks"
)

func main() {
	err := synth()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	jsii.Close()
	if err != nil {
		os.Exit(1)
	}
}

func synth() error {
	golambda.Prebuild(golambda.ARM64, stacks.FunctionEntries()...)
	app := awscdk.NewApp(nil)
	environments, err := environments(app)
	if err != nil {
		return err
	}
	for _, env := range environments {
		stacks.NewOrdersStack(app, env)
	}
	app.Synth(nil)
	return nil
}

// environments returns the environments that the context asks for.
func environments(app awscdk.App) ([]stacks.Environment, error) {
	context := app.Node()
	name := context.TryGetContext(jsii.String("environment"))
	if name == nil {
		name = ""
	}
	text, ok := name.(string)
	if !ok {
		return nil, fmt.Errorf("context \"environment\" must be the name of an environment, got %v", name)
	}
	return stacks.Choose(text, context.TryGetContext(jsii.String("environments")))
}

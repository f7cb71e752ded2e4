package synth

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
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

package synth

import (
	"testing"

	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

func TestGoFunctionDefaults(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		golambda.NewFunction(stack, jsii.String("Greet"), &golambda.FunctionProps{
			Entry: jsii.String("test/synth/testdata/greet"),
		})
	})
	tpl := synthesize(t, stack)
	t.Log(canonical(t, tpl.Resources))
}

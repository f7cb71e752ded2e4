package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// A deployment that shifts traffic has an alias, which is what must be invoked; the environment is the function's.
func TestConsumerWithAnAlias(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		alias := aliasOf(newFunction(stack, "Ship", 20), "live")
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: alias})
		box.GrantWrite(alias)
	})
	tpl := synthesize(t, stack)
	variables := environment(t, tpl, "Ship")["Variables"].(map[string]any)
	same(t, "name", variables["INBOX_CONSUMER"], `"Stack/Outbox/Shipping"`)
	same(t, "outbox table", variables["OUTBOX_TABLE"], `"${Outbox/Table}"`)
	same(t, "visibility", tpl.part(t, "Outbox/Shipping/Queue").Properties["VisibilityTimeout"], `120`)
	if target := canonical(t, tpl.part(t, "Outbox/Shipping/Mapping").Properties["FunctionName"]); !strings.Contains(target, `":live"`) {
		t.Errorf("the mapping invokes %s, want the alias", target)
	}
	same(t, "permission to receive", strings.Contains(canonical(t, tpl.part(t, "Ship/ServiceRole/DefaultPolicy").Properties), "sqs:ReceiveMessage"), `true`)
}

func TestConsumerRefusesAnAliasWhoseEnvironmentStays(t *testing.T) {
	stack := newStack(t)
	fixed := fixedAlias(stack, "Ship")
	box := newOutbox(stack)
	message := refused(t, func() { box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: fixed}) })
	wants(t, message, "Function must not point to the version Stack/ShipV1, whose environment stays as it was published: make the alias of the function's CurrentVersion()")

	imported := awslambda.Alias_FromAliasAttributes(stack, jsii.String("ImportedAlias"), &awslambda.AliasAttributes{
		AliasName:    jsii.String("live"),
		AliasVersion: awslambda.Version_FromVersionArn(stack, jsii.String("ImportedVersion"), jsii.String("arn:aws:lambda:eu-west-1:111111111111:function:ship:1")),
	})
	message = refused(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: imported, VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(5))})
	})
	wants(t, message, "Function must be one of this app, or an alias of its current version, with Inbox TABLE, got one whose environment cannot be set here, like an imported one: set Inbox to NONE")
	guard(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: fixed, Inbox: outbox.Inbox_NONE})
	})
}

// A second consumer must not take the environment from the first, by whichever way it points to the function.
func TestConsumersShareNoFunctionByAnAlias(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	function := newFunction(stack, "Ship", 20)
	box.AddConsumer(jsii.String("One"), &outbox.ConsumerProps{Function: function})
	message := refused(t, func() {
		box.AddConsumer(jsii.String("Two"), &outbox.ConsumerProps{Function: aliasOf(function, "live")})
	})
	wants(t, message, "Function must be that of one consumer with an inbox, got that of Stack/Outbox/One")
}

// Where GrantWrite cannot set the environment, the synthesis says so.
func TestGrantWriteSaysWhatItCannotSet(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		box.GrantWrite(awslambda.Function_FromFunctionAttributes(stack, jsii.String("Imported"), &awslambda.FunctionAttributes{
			FunctionArn: jsii.String("arn:aws:lambda:eu-west-1:111111111111:function:writer"), SkipPermissions: jsii.Bool(true),
		}))
		box.GrantWrite(fixedAlias(stack, "Write"))
	})
	wants(t, strings.Join(warnings(t, stack), "\n"),
		"/Stack/Outbox: the environment of the imported function Stack/Imported cannot be set from here: its owner must set OUTBOX_TABLE, OUTBOX_SOURCE, OUTBOX_RETENTION_SECONDS",
		"/Stack/Outbox: the environment of the function is set, but the version Stack/WriteV1 keeps what it was published with: grant to an alias of the function's CurrentVersion()",
	)
}

// A function's environment names one outbox: the second would take it from the first without a word.
func TestGrantWriteRefusesAWriterOfTwoOutboxes(t *testing.T) {
	stack := newStack(t)
	writer := newFunction(stack, "Writer", 10)
	box := newOutbox(stack)
	guard(t, func() {
		box.GrantWrite(writer)
		box.GrantWrite(aliasOf(writer, "live"))
	})
	other := outbox.NewTransactionalOutbox(stack, jsii.String("Other"), &outbox.TransactionalOutboxProps{Source: jsii.String("invoices")})
	message := refused(t, func() { other.GrantWrite(writer) })
	wants(t, message, "outbox Stack/Other: the function of GrantWrite must write to one outbox, got Stack/Writer, which writes to Stack/Outbox: give it the second one's table and source in variables of your own, and the permission with GrantTransactionWrites")
}

// fixedAlias is an alias of a version that is published once.
func fixedAlias(stack awscdk.Stack, id string) awslambda.Alias {
	version := awslambda.NewVersion(stack, jsii.String(id+"V1"), &awslambda.VersionProps{Lambda: newFunction(stack, id, 10)})
	return awslambda.NewAlias(stack, jsii.String(id+"Alias"), &awslambda.AliasProps{AliasName: jsii.String("fixed"), Version: version})
}

package synth

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// greet is a program for consumers whose function does not matter.
const greet = "test/synth/testdata/greet"

// greeter is a Go function for consumers whose function does not matter.
func greeter() *golambda.FunctionProps {
	return &golambda.FunctionProps{Entry: jsii.String(greet)}
}

// newOutbox adds an outbox of "orders" with further properties, if any.
func newOutbox(stack awscdk.Stack, props ...outbox.TransactionalOutboxProps) *outbox.TransactionalOutbox {
	p := outbox.TransactionalOutboxProps{}
	if len(props) > 0 {
		p = props[0]
	}
	if p.Source == nil {
		p.Source = jsii.String("orders")
	}
	return outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &p)
}

// synthesizeOutbox is the template of a stack with nothing but an outbox with these properties.
func synthesizeOutbox(t *testing.T, props outbox.TransactionalOutboxProps) template {
	t.Helper()
	stack := newStack(t)
	guard(t, func() { newOutbox(stack, props) })
	return synthesize(t, stack)
}

func TestOutboxTable(t *testing.T) {
	table := synthesizeOutbox(t, outbox.TransactionalOutboxProps{}).part(t, "Outbox/Table")
	same(t, "type", table.Type, `"AWS::DynamoDB::Table"`)
	same(t, "properties", table.Properties, `{
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
		"BillingMode": "PAY_PER_REQUEST",
		"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
		"StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
		"TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": true}
	}`)
	same(t, "deletion policy", table.DeletionPolicy, `"Retain"`)
}

func TestOutboxTableOverrides(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{
		DeletionProtection:  jsii.Bool(true),
		PointInTimeRecovery: jsii.Bool(true),
		RemovalPolicy:       awscdk.RemovalPolicy_DESTROY,
	})
	table := tpl.part(t, "Outbox/Table")
	same(t, "deletion protection", table.Properties["DeletionProtectionEnabled"], `true`)
	same(t, "backups", table.Properties["PointInTimeRecoverySpecification"], `{"PointInTimeRecoveryEnabled": true}`)
	same(t, "deletion policy of the table", table.DeletionPolicy, `"Delete"`)
	same(t, "deletion policy of the log group", tpl.part(t, "Outbox/PipeLogGroup").DeletionPolicy, `"Delete"`)
}

func TestOutboxDeadLetterQueues(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{})
	list(t, "queues", tpl.paths("AWS::SQS::Queue"), "Outbox/PipeDeadLetterQueue", "Outbox/RuleDeadLetterQueue")
	for _, path := range tpl.paths("AWS::SQS::Queue") {
		same(t, path, tpl.part(t, path).Properties, `{"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true}`)
		same(t, "policy of "+path, tpl.statements(tpl.part(t, path+"/Policy").Properties["PolicyDocument"]), `[{
			"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sqs:*", "Resource": "${`+path+`.Arn}",
			"Condition": {"Bool": {"aws:SecureTransport": "false"}}
		}]`)
	}
}

// Two copies of an app in one account differ only in the names of their stacks.
func TestOutboxBusIsNamedAfterTheStack(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{})
	bus := tpl.part(t, "Outbox/EventBus")
	same(t, "properties", tpl.readable(bus.Properties), `{"Name": "${AWS::StackName}-Outbox-49668afa"}`)
}

func TestOutboxArchive(t *testing.T) {
	none := synthesizeOutbox(t, outbox.TransactionalOutboxProps{})
	list(t, "archives by default", none.paths("AWS::Events::Archive"))

	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{ArchiveRetention: awscdk.Duration_Days(jsii.Number(30))})
	same(t, "archive", tpl.readable(tpl.part(t, "Outbox/Archive").Properties), `{"SourceArn": "${Outbox/EventBus.Arn}", "RetentionDays": 30}`)
}

func TestOutboxParts(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{ArchiveRetention: awscdk.Duration_Days(jsii.Number(1))})
		for path, part := range map[string]constructs.IConstruct{
			"Stack/Outbox":                     box,
			"Stack/Outbox/Table":               box.Table(),
			"Stack/Outbox/EventBus":            box.EventBus(),
			"Stack/Outbox/Archive":             box.Archive(),
			"Stack/Outbox/Pipe":                box.Pipe(),
			"Stack/Outbox/PipeDeadLetterQueue": box.PipeDeadLetterQueue(),
			"Stack/Outbox/RuleDeadLetterQueue": box.RuleDeadLetterQueue(),
		} {
			same(t, "path", part.Node().Path(), `"`+path+`"`)
		}
		same(t, "source", box.Source(), `"orders"`)
	})
}

// A construct of the user's own can stand under the outbox, and the outbox under one of the user's.
func TestOutboxInTheTree(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		group := constructs.NewConstruct(stack, jsii.String("Group"))
		box := outbox.NewTransactionalOutbox(group, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{Source: jsii.String("orders")})
		awsevents.NewEventBus(box, jsii.String("Own"), nil)
	})
	list(t, "buses", synthesize(t, stack).paths("AWS::Events::EventBus"), "Group/Outbox/EventBus", "Group/Outbox/Own")
}

func TestTwoOutboxesInOneStack(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		for _, id := range []string{"Orders", "Payments"} {
			box := outbox.NewTransactionalOutbox(stack, &id, &outbox.TransactionalOutboxProps{Source: &id})
			box.AddConsumer(jsii.String("Ledger"), &outbox.ConsumerProps{GoFunction: greeter()})
		}
	})
	tpl := synthesize(t, stack)
	for _, id := range []string{"Orders", "Payments"} {
		rule := tpl.part(t, id+"/Ledger/Rule")
		same(t, "bus of "+id, tpl.readable(rule.Properties["EventBusName"]), `"${`+id+`/EventBus}"`)
		same(t, "pattern of "+id, rule.Properties["EventPattern"], `{"source": ["`+id+`"]}`)
	}
	a, b := tpl.part(t, "Orders/EventBus"), tpl.part(t, "Payments/EventBus")
	if canonical(t, a.Properties) == canonical(t, b.Properties) {
		t.Error("the two buses have the same name")
	}
}

// The same outbox in two stacks of one app, as the environments of the reference application have it.
func TestTwoStacksInOneApp(t *testing.T) {
	app := newApp(t, noBundling)
	var templates []string
	var stacks []awscdk.Stack
	guard(t, func() {
		for _, id := range []string{"Dev", "Prod"} {
			stack := awscdk.NewStack(app, &id, nil)
			newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
			stacks = append(stacks, stack)
		}
	})
	for _, stack := range stacks {
		tpl := synthesize(t, stack)
		templates = append(templates, canonical(t, tpl.part(t, "Outbox/Shipping/Function").Properties["Code"]))
	}
	if templates[0] != templates[1] {
		t.Errorf("the stacks do not share the function's asset: %s and %s", templates[0], templates[1])
	}
}

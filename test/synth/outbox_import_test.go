package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

const (
	busARN   = "arn:aws:events:eu-west-1:111111111111:event-bus/orders"
	tableARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/outbox"
)

func importOutbox(stack awscdk.Stack) outbox.ITransactionalOutbox {
	return outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
		Source:        jsii.String("orders"),
		EventBus:      awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
		Table:         awsdynamodb.Table_FromTableArn(stack, jsii.String("Table"), jsii.String(tableARN)),
		LogRetention:  awslogs.RetentionDays_ONE_DAY,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		Alarms:        &outbox.AlarmProps{},
	})
}

func TestImportedOutboxTakesConsumers(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := importOutbox(stack)
		for _, id := range []string{"Billing", "Shipping"} {
			box.AddConsumer(&id, &outbox.ConsumerProps{EventTypes: jsii.Strings("OrderCreated"), GoFunction: greeter()})
		}
	})
	tpl := synthesize(t, stack)
	list(t, "queues", tpl.paths("AWS::SQS::Queue"),
		"Orders/Billing/DeadLetterQueue", "Orders/Billing/Queue", "Orders/RuleDeadLetterQueue", "Orders/Shipping/DeadLetterQueue", "Orders/Shipping/Queue")
	list(t, "tables", tpl.paths("AWS::DynamoDB::Table"), "Orders/InboxTable")
	for _, typ := range []string{"AWS::Events::EventBus", "AWS::Pipes::Pipe"} {
		list(t, typ, tpl.paths(typ))
	}
	rule := tpl.part(t, "Orders/Shipping/Rule")
	same(t, "bus", rule.Properties["EventBusName"], `"orders"`)
	same(t, "pattern", rule.Properties["EventPattern"], `{"source": ["orders"], "detail-type": ["OrderCreated"]}`)
	list(t, "dependencies", tpl.dependencies(rule), "Orders/RuleDeadLetterQueue/Policy", "Orders/Shipping/Queue/Policy")
	statements := tpl.statements(tpl.part(t, "Orders/RuleDeadLetterQueue/Policy").Properties["PolicyDocument"])
	same(t, "who may send to the rules' dead-letter queue", statements[1].(map[string]any)["Condition"],
		`{"ArnLike": {"aws:SourceArn": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/orders/*"}}`)
	logGroup := tpl.part(t, "Orders/Shipping/Function/LogGroup")
	same(t, "log retention", logGroup.Properties["RetentionInDays"], `1`)
	same(t, "deletion policy of the log group", logGroup.DeletionPolicy, `"Delete"`)
	if n := len(tpl.ofType("AWS::CloudWatch::Alarm")); n != 12 {
		t.Errorf("there are %d alarms, want 6 for each consumer", n)
	}
}

func TestImportedOutboxGrants(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := importOutbox(stack)
		role := awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		box.GrantWrite(role)
		box.GrantPublish(role, jsii.Strings("billing"))
		if box.RuleDeadLetterQueue() != nil {
			t.Error("an imported outbox without consumers has a dead-letter queue for rules")
		}
	})
	tpl := synthesize(t, stack)
	same(t, "policy", tpl.statements(tpl.part(t, "Role/DefaultPolicy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "`+tableARN+`",
		 "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}},
		{"Effect": "Allow", "Action": "events:PutEvents", "Resource": "`+busARN+`", "Condition": {"StringEquals": {"events:source": ["billing"]}}}
	]`)
	list(t, "queues", tpl.paths("AWS::SQS::Queue"))
}

// The outbox of one stack, used in another one of the same app.
func TestImportFromAnotherStackOfTheApp(t *testing.T) {
	app := newApp(t, noBundling)
	var consumers awscdk.Stack
	guard(t, func() {
		orders := awscdk.NewStack(app, jsii.String("Stack"), nil)
		box := newOutbox(orders)
		consumers = awscdk.NewStack(app, jsii.String("Consumers"), nil)
		imported := outbox.TransactionalOutbox_FromAttributes(consumers, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
			Source:   box.Source(),
			EventBus: box.EventBus(),
		})
		imported.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	tpl := synthesize(t, consumers)
	bus := canonical(t, tpl.part(t, "Orders/Shipping/Rule").Properties["EventBusName"])
	if !strings.Contains(bus, "Fn::GetStackOutput") {
		t.Errorf("the rule's bus is %s, want an import from the other stack", bus)
	}
}

func TestImportRefuses(t *testing.T) {
	stack := newStack(t)
	message := refused(t, func() { outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), nil) })
	for _, want := range []string{`imported outbox "Orders": `, "Source is missing", "EventBus is missing: the bus that the outbox's events are on"} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	}
	guard(t, func() {
		box := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("NoTable"), &outbox.TransactionalOutboxAttributes{
			Source:   jsii.String("orders"),
			EventBus: awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
		})
		role := awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		message := refused(t, func() { box.GrantWrite(role) })
		if want := "Stack/NoTable must be imported with its Table to grant its use"; !strings.Contains(message, want) {
			t.Errorf("GrantWrite says %q, want %q", message, want)
		}
	})
}

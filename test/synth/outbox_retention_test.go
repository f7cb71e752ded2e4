package synth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
	runtimeoutbox "github.com/outboxkit/transactional-outbox/runtime/outbox"
)

const retentionVariable = "OUTBOX_RETENTION_SECONDS"

// writable is what an outbox of this app and an imported one have in common for a writer.
type writable interface {
	GrantWrite(grantee awsiam.IGrantable) awsiam.Grant
	EventRetention() awscdk.Duration
}

// writerOf gives a function GrantWrite for the outbox that build adds. It returns the function's
// OUTBOX_RETENTION_SECONDS, and the outbox's EventRetention, by which everybody else writes.
func writerOf(t *testing.T, build func(awscdk.Stack) writable) (variable any, retention awscdk.Duration) {
	t.Helper()
	stack := newStack(t)
	guard(t, func() {
		box := build(stack)
		box.GrantWrite(newFunction(stack, "Writer", 10))
		retention = box.EventRetention()
	})
	return environment(t, synthesize(t, stack), "Writer")["Variables"].(map[string]any)[retentionVariable], retention
}

func TestEventRetention(t *testing.T) {
	importedWith := func(retention awscdk.Duration) func(awscdk.Stack) writable {
		return func(stack awscdk.Stack) writable {
			return outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
				Source:         jsii.String("orders"),
				EventBus:       awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
				Table:          awsdynamodb.Table_FromTableArn(stack, jsii.String("Table"), jsii.String(tableARN)),
				EventRetention: retention,
			})
		}
	}
	ownWith := func(props outbox.TransactionalOutboxProps) func(awscdk.Stack) writable {
		return func(stack awscdk.Stack) writable { return newOutbox(stack, props) }
	}
	for name, test := range map[string]struct {
		build func(awscdk.Stack) writable
		days  float64
	}{
		"default":            {ownWith(outbox.TransactionalOutboxProps{}), runtimeoutbox.DefaultRetention.Hours() / 24},
		"the shortest":       {ownWith(outbox.TransactionalOutboxProps{EventRetention: days(2)}), 2},
		"the longest":        {ownWith(outbox.TransactionalOutboxProps{EventRetention: days(3650)}), 3650},
		"a table of the app": {func(s awscdk.Stack) writable { return outboxOnOwnTable(s, days(9)) }, 9},
		"imported, default":  {importedWith(nil), 7},
		"imported":           {importedWith(days(30)), 30},
	} {
		t.Run(name, func(t *testing.T) {
			variable, retention := writerOf(t, test.build)
			same(t, retentionVariable, variable, fmt.Sprintf(`"%.0f"`, test.days*24*60*60))
			same(t, "EventRetention", *retention.ToDays(nil), fmt.Sprint(test.days))
		})
	}
}

func outboxOnOwnTable(stack awscdk.Stack, retention awscdk.Duration) writable {
	table := awsdynamodb.NewTable(stack, jsii.String("Events"), &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("pk"), Type: awsdynamodb.AttributeType_STRING},
		SortKey:      &awsdynamodb.Attribute{Name: jsii.String("sk"), Type: awsdynamodb.AttributeType_STRING},
		Stream:       awsdynamodb.StreamViewType_NEW_IMAGE,
	})
	return newOutbox(stack, outbox.TransactionalOutboxProps{Table: table, EventRetention: retention})
}

// A number that is only known at deployment reaches the function as what it is then.
func TestSecondsKnownAtDeployment(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		seconds := awscdk.Duration_Seconds(awscdk.Token_AsNumber(awscdk.Fn_Ref(jsii.String("AWS::AccountId"))))
		box := newOutbox(stack, outbox.TransactionalOutboxProps{EventRetention: seconds})
		consumer := box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter(), InboxTTL: seconds})
		box.GrantWrite(consumer.Function())
	})
	variables := environment(t, synthesize(t, stack), "Outbox/Shipping/Function")["Variables"].(map[string]any)
	for _, name := range []string{retentionVariable, "INBOX_TTL_SECONDS"} {
		same(t, name, variables[name], `"${AWS::AccountId}"`)
	}
}

// The refusals of an outbox of this app are in TestOutboxRefuses.
func TestImportRefusesAnEventRetention(t *testing.T) {
	message := refused(t, func() {
		outbox.TransactionalOutbox_FromAttributes(newStack(t), jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{EventRetention: days(1)})
	})
	for _, want := range []string{"Source is missing", "EventBus is missing", "EventRetention must be whole days from 2 to 3650, got 1 day"} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	}
}

// What holds events, or remembers them, stays unless the application says otherwise: an archive without its bus could not
// be replayed, and a dead-letter message may be all that is left of an event.
func TestRemovalPolicy(t *testing.T) {
	for policy, want := range map[awscdk.RemovalPolicy]struct{ parts, bus string }{
		"":                           {"Retain", "RetainExceptOnCreate"},
		awscdk.RemovalPolicy_RETAIN:  {"Retain", "RetainExceptOnCreate"},
		awscdk.RemovalPolicy_DESTROY: {"Delete", "Delete"},
	} {
		t.Run(string(policy), func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				box := newOutbox(stack, outbox.TransactionalOutboxProps{RemovalPolicy: policy, ArchiveRetention: days(3)})
				box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
				imported := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Other"), &outbox.TransactionalOutboxAttributes{
					Source: jsii.String("other"), EventBus: box.EventBus(), RemovalPolicy: policy,
				})
				imported.AddConsumer(jsii.String("Billing"), &outbox.ConsumerProps{GoFunction: greeter()})
			})
			tpl := synthesize(t, stack)
			for _, path := range []string{
				"Outbox/Table", "Outbox/InboxTable", "Outbox/Archive", "Outbox/PipeDeadLetterQueue", "Outbox/RuleDeadLetterQueue",
				"Outbox/Shipping/DeadLetterQueue", "Outbox/PipeLogGroup",
				"Other/InboxTable", "Other/RuleDeadLetterQueue", "Other/Billing/DeadLetterQueue",
			} {
				same(t, "deletion policy of "+path, tpl.part(t, path).DeletionPolicy, `"`+want.parts+`"`)
			}
			// A bus that a failed first deployment leaves behind would take its name from the next one.
			same(t, "deletion policy of the bus", tpl.part(t, "Outbox/EventBus").DeletionPolicy, `"`+want.bus+`"`)
			same(t, "deletion policy of the queue", tpl.part(t, "Outbox/Shipping/Queue").DeletionPolicy, `"Delete"`)
		})
	}
}

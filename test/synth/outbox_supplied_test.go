package synth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// warnings are what the synthesis of the stack tells its user, sorted.
func warnings(t *testing.T, stack awscdk.Stack) []string {
	t.Helper()
	synthesize(t, stack)
	raw, err := os.ReadFile(filepath.Join(*awscdk.App_Of(stack).Outdir(), *stack.ArtifactId()+".metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var byPath map[string][]struct {
		Type string
		Data any
	}
	if err := json.Unmarshal(raw, &byPath); err != nil {
		t.Fatal(err)
	}
	var found []string
	for path, entries := range byPath {
		for _, entry := range entries {
			if entry.Type == "aws:cdk:warning" {
				found = append(found, fmt.Sprintf("%s: %v", path, entry.Data))
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestOutboxOnATableOfThisApp(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		table := awsdynamodb.NewTable(stack, jsii.String("Orders"), &awsdynamodb.TableProps{
			PartitionKey:  &awsdynamodb.Attribute{Name: jsii.String("pk"), Type: awsdynamodb.AttributeType_STRING},
			SortKey:       &awsdynamodb.Attribute{Name: jsii.String("sk"), Type: awsdynamodb.AttributeType_STRING},
			Stream:        awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
			EncryptionKey: awskms.NewKey(stack, jsii.String("OrdersKey"), nil),
		})
		box := newOutbox(stack, outbox.TransactionalOutboxProps{Table: table, DeletionProtection: jsii.Bool(true)})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
		box.GrantWrite(awsiam.NewRole(stack, jsii.String("Writer"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()}))
	})
	tpl := synthesize(t, stack)
	list(t, "tables", tpl.paths("AWS::DynamoDB::Table"), "Orders", "Outbox/InboxTable")
	same(t, "protection of the table that is created", tpl.part(t, "Outbox/InboxTable").Properties["DeletionProtectionEnabled"], `true`)
	same(t, "source of the pipe", tpl.readable(tpl.part(t, "Outbox/Pipe").Properties["Source"]), `"${Orders.StreamArn}"`)
	statements := tpl.statements(tpl.part(t, "Outbox/PipeRole").Properties["Policies"].([]any)[0].(map[string]any)["PolicyDocument"])
	same(t, "the pipe's use of the table's own key", statements[len(statements)-1], `{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "${OrdersKey.Arn}"}`)
	writer := tpl.statements(tpl.part(t, "Writer/DefaultPolicy").Properties["PolicyDocument"])
	same(t, "the writer's use of the table's own key", writer[len(writer)-1], `{
		"Effect": "Allow", "Resource": "${OrdersKey.Arn}",
		"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
		"Condition": {"StringLike": {"kms:ViaService": "dynamodb.${AWS::Region}.amazonaws.com*"}}
	}`)
}

func TestOutboxOnAnImportedTable(t *testing.T) {
	const arn = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{
			Table: awsdynamodb.Table_FromTableAttributes(stack, jsii.String("Orders"), &awsdynamodb.TableAttributes{
				TableArn:       jsii.String(arn),
				TableStreamArn: jsii.String(arn + "/stream/2026-11-23T00:00:00.000"),
			}),
		})
	})
	tpl := synthesize(t, stack)
	list(t, "tables", tpl.paths("AWS::DynamoDB::Table"))
	same(t, "source of the pipe", tpl.part(t, "Outbox/Pipe").Properties["Source"], `"`+arn+`/stream/2026-11-23T00:00:00.000"`)
}

func TestOutboxOnASuppliedBus(t *testing.T) {
	for name, test := range map[string]struct {
		bus         string
		rules       string
		ruleMetrics string
	}{
		"custom": {
			"company", "rule/company/*",
			`[{"Name": "EventBusName", "Value": "company"}, {"Name": "RuleName", "Value": {"Fn::Select": [2, {"Fn::Split": ["/", "${Outbox/Shipping/Rule.Arn}"]}]}}]`,
		},
		"default": {
			"default", "rule/*",
			`[{"Name": "RuleName", "Value": {"Fn::Select": [1, {"Fn::Split": ["/", "${Outbox/Shipping/Rule.Arn}"]}]}}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				box := newOutbox(stack, outbox.TransactionalOutboxProps{
					EventBus:         awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), &test.bus),
					ArchiveRetention: awscdk.Duration_Days(jsii.Number(3)),
					Alarms:           &outbox.AlarmProps{},
				})
				box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
			})
			tpl := synthesize(t, stack)
			list(t, "buses", tpl.paths("AWS::Events::EventBus"))
			arn := `"arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/` + test.bus + `"`
			same(t, "target of the pipe", tpl.readable(tpl.part(t, "Outbox/Pipe").Properties["Target"]), arn)
			same(t, "source of the archive", tpl.readable(tpl.part(t, "Outbox/Archive").Properties["SourceArn"]), arn)
			same(t, "bus of the rule", tpl.part(t, "Outbox/Shipping/Rule").Properties["EventBusName"], `"`+test.bus+`"`)
			policy := tpl.statements(tpl.part(t, "Outbox/Shipping/Queue/Policy").Properties["PolicyDocument"])
			same(t, "who may send", policy[1].(map[string]any)["Condition"], `{"ArnLike": {"aws:SourceArn": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:`+test.rules+`"}}`)
			same(t, "dimensions of the rule's alarm", tpl.readable(tpl.part(t, "Outbox/Shipping/DeliveryLostAlarm").Properties["Dimensions"]), test.ruleMetrics)
		})
	}
}

func TestConsumerWithASuppliedFunction(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: newFunction(stack, "Ship", 20), Inbox: outbox.Inbox_NONE})
	})
	tpl := synthesize(t, stack)
	list(t, "functions", tpl.paths("AWS::Lambda::Function"), "Ship")
	same(t, "target of the mapping", tpl.readable(tpl.part(t, "Outbox/Shipping/Mapping").Properties["FunctionName"]), `"${Ship}"`)
	same(t, "visibility", tpl.part(t, "Outbox/Shipping/Queue").Properties["VisibilityTimeout"], `120`)
	same(t, "policy", tpl.statements(tpl.part(t, "Ship/ServiceRole/DefaultPolicy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], "Resource": "${Outbox/Shipping/Queue.Arn}"}
	]`)
}

func TestConsumerWithAnImportedFunction(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Ship"), jsii.String("ship")),
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(5)),
			Inbox:             outbox.Inbox_NONE,
		})
	})
	tpl := synthesize(t, stack)
	same(t, "visibility", tpl.part(t, "Outbox/Shipping/Queue").Properties["VisibilityTimeout"], `300`)
	// The warning is CDK's own; it shows the statement that the owner of the function's role must add.
	told := warnings(t, stack)
	if len(told) != 1 || !strings.Contains(told[0], "Add statement to this resource's role") || !strings.Contains(told[0], "sqs:ReceiveMessage") {
		t.Errorf("the synthesis warns %q, want one warning about the function's role", told)
	}
}

func TestConsumerWithASuppliedQueue(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		deadLetters := awssqs.NewQueue(stack, jsii.String("ShipDLQ"), &awssqs.QueueProps{RetentionPeriod: days(14)})
		queue := awssqs.NewQueue(stack, jsii.String("ShipQueue"), &awssqs.QueueProps{
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
			DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: deadLetters, MaxReceiveCount: jsii.Number(3)},
		})
		consumer := newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter(), Queue: queue})
		same(t, "dead-letter queue", consumer.DeadLetterQueue().Node().Path(), `"Stack/ShipDLQ"`)
	})
	tpl := synthesize(t, stack)
	list(t, "queues", tpl.paths("AWS::SQS::Queue"), "Outbox/PipeDeadLetterQueue", "Outbox/RuleDeadLetterQueue", "ShipDLQ", "ShipQueue")
	list(t, "dependencies of the rule", tpl.dependencies(tpl.part(t, "Outbox/Shipping/Rule")), "Outbox/RuleDeadLetterQueue/Policy", "ShipQueue/Policy")
	same(t, "who may send", tpl.statements(tpl.part(t, "ShipQueue/Policy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "${ShipQueue.Arn}",
		 "Condition": {"ArnLike": {"aws:SourceArn": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${Outbox/EventBus}/*"}}}
	]`)
}

func TestConsumerWithASuppliedDeadLetterQueue(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction:      greeter(),
			DeadLetterQueue: awssqs.NewQueue(stack, jsii.String("ShipDLQ"), &awssqs.QueueProps{RetentionPeriod: days(14)}),
		})
	})
	tpl := synthesize(t, stack)
	same(t, "redrive policy", tpl.readable(tpl.part(t, "Outbox/Shipping/Queue").Properties["RedrivePolicy"]), `{"deadLetterTargetArn": "${ShipDLQ.Arn}", "maxReceiveCount": 5}`)
	list(t, "queues", tpl.paths("AWS::SQS::Queue"), "Outbox/PipeDeadLetterQueue", "Outbox/RuleDeadLetterQueue", "Outbox/Shipping/Queue", "ShipDLQ")
}

// Nothing can be added to the policy of a queue of someone else, so the synthesis shows what its owner can paste.
func TestConsumerWithAnImportedQueue(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		imported := func(name string) awssqs.IQueue {
			return awssqs.Queue_FromQueueArn(stack, &name, jsii.String("arn:aws:sqs:eu-west-1:111111111111:"+name))
		}
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction: greeter(), Queue: imported("ship"), DeadLetterQueue: imported("ship-dlq"),
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
		})
	})
	list(t, "warnings", warnings(t, stack),
		"/Stack/Outbox: the policy of the imported queue Stack/ship cannot be changed from here: its owner must add "+
			`{"Action":"sqs:SendMessage","Condition":{"ArnLike":{"aws:SourceArn":"arn:PARTITION:events:REGION:ACCOUNT:rule/Stack-Outbox-49668afa/*"}},`+
			`"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"arn:aws:sqs:eu-west-1:111111111111:ship","Sid":"OutboxEventsc0b00073"}`+
			" (in place of ACCOUNT, PARTITION, REGION: what they are where stack Stack is deployed) [ack: outboxkit:queue-policy:events:Stack/ship]")
}

// Two consumers on one queue would each get some of its messages at random. An event for both is in it twice; whoever gets
// both drops one as a duplicate, and the other consumer silently loses its effect.
func TestAQueueServesOneConsumer(t *testing.T) {
	app := newApp(t, noBundling)
	stack, other := awscdk.NewStack(app, jsii.String("Stack"), nil), awscdk.NewStack(app, jsii.String("Other"), nil)
	queueIn := func(stack awscdk.Stack, id string) (queue, deadLetters awssqs.Queue) {
		deadLetters = awssqs.NewQueue(stack, jsii.String(id+"DLQ"), &awssqs.QueueProps{RetentionPeriod: days(14)})
		return awssqs.NewQueue(stack, &id, &awssqs.QueueProps{
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
			DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: deadLetters, MaxReceiveCount: jsii.Number(3)},
		}), deadLetters
	}
	imported := func(stack awscdk.Stack, id, name string) awssqs.IQueue {
		return awssqs.Queue_FromQueueArn(stack, &id, jsii.String("arn:aws:sqs:eu-west-1:111111111111:"+name))
	}
	ofRegion := func(stack awscdk.Stack, id string) awssqs.IQueue {
		return awssqs.Queue_FromQueueArn(stack, &id, jsii.String("arn:aws:sqs:"+*awscdk.Aws_REGION()+":111111111111:"+id))
	}
	on := func(queue, deadLetters awssqs.IQueue) *outbox.ConsumerProps {
		props := &outbox.ConsumerProps{GoFunction: greeter(), Queue: queue, DeadLetterQueue: deadLetters}
		if _, ownedHere := queue.(awssqs.Queue); queue != nil && !ownedHere {
			props.VisibilityTimeout = awscdk.Duration_Minutes(jsii.Number(1))
		}
		return props
	}
	queue, deadLetters := queueIn(stack, "Queue")
	_, ownDeadLetters := queueIn(stack, "Free")
	box, otherBox := newOutbox(stack), newOutbox(other)
	var billing *outbox.Consumer
	guard(t, func() {
		box.AddConsumer(jsii.String("Shipping"), on(queue, nil))
		box.AddConsumer(jsii.String("Audit"), on(imported(stack, "A", "audit"), imported(stack, "ADLQ", "audit-dlq")))
		billing = box.AddConsumer(jsii.String("Billing"), on(nil, nil))
		// The same text stands for two queues where the stacks are deployed in two regions.
		box.AddConsumer(jsii.String("Regional"), on(ofRegion(stack, "regional"), ofRegion(stack, "regional-dlq")))
		otherBox.AddConsumer(jsii.String("Regional"), on(ofRegion(other, "regional"), ofRegion(other, "regional-dlq")))
	})
	const (
		twoConsumers = ": each would get a part of the other's messages, and lose the rest"
		twoLetters   = ": a redrive could not tell whose messages it holds"
	)
	for name, test := range map[string]struct {
		box   *outbox.TransactionalOutbox
		props *outbox.ConsumerProps
		want  string
	}{
		"the same queue":               {box, on(queue, nil), "Queue must serve this consumer alone, got the Queue of Stack/Outbox/Shipping" + twoConsumers},
		"its dead-letter queue":        {box, on(queue, nil), "the dead-letter queue of Queue must serve this consumer alone, got the DeadLetterQueue of Stack/Outbox/Shipping" + twoLetters},
		"the same queue, in a stack":   {otherBox, on(queue, nil), "Queue must serve this consumer alone, got the Queue of Stack/Outbox/Shipping"},
		"the same ARN":                 {otherBox, on(imported(other, "A", "audit"), ownDeadLetters), "Queue must serve this consumer alone, got the Queue of Stack/Outbox/Audit" + twoConsumers},
		"the same dead-letter queue":   {box, on(nil, deadLetters), "DeadLetterQueue must serve this consumer alone, got the DeadLetterQueue of Stack/Outbox/Shipping" + twoLetters},
		"the same dead-letter ARN":     {otherBox, on(nil, imported(other, "ADLQ", "audit-dlq")), "DeadLetterQueue must serve this consumer alone, got the DeadLetterQueue of Stack/Outbox/Audit"},
		"a queue that was created":     {box, on(billing.Queue(), nil), "Queue must serve this consumer alone, got the Queue of Stack/Outbox/Billing"},
		"a dead-letter queue, created": {box, on(nil, billing.DeadLetterQueue()), "DeadLetterQueue must serve this consumer alone, got the DeadLetterQueue of Stack/Outbox/Billing"},
		"the rules' dead-letter queue": {box, on(nil, box.RuleDeadLetterQueue()), "DeadLetterQueue must serve this consumer alone, got the RuleDeadLetterQueue of Stack/Outbox"},
		"the pipe's dead-letter queue": {box, on(nil, box.PipeDeadLetterQueue()), "DeadLetterQueue must serve this consumer alone, got the PipeDeadLetterQueue of Stack/Outbox"},
		"one queue for both":           {box, on(imported(stack, "B", "both"), imported(stack, "B2", "both")), "DeadLetterQueue must be another queue than Queue"},
		"a queue as dead-letter queue": {box, on(nil, imported(stack, "A2", "audit")), "DeadLetterQueue must serve this consumer alone, got the Queue of Stack/Outbox/Audit"},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() { test.box.AddConsumer(jsii.String("Second"), test.props) })
			wants(t, message, `consumer "Second": `, test.want)
		})
	}
	guard(t, func() { box.AddConsumer(jsii.String("Second"), on(nil, ownDeadLetters)) })
}

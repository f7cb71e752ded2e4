package synth

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func days(n float64) awscdk.Duration { return awscdk.Duration_Days(&n) }

func inboxTable(stack awscdk.Stack, id, partitionKey string) awsdynamodb.ITable {
	return awsdynamodb.NewTable(stack, &id, &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: &partitionKey, Type: awsdynamodb.AttributeType_STRING},
	})
}

func environment(t *testing.T, tpl template, path string) map[string]any {
	t.Helper()
	variables, _ := tpl.readable(tpl.part(t, path).Properties["Environment"]).(map[string]any)
	return variables
}

func TestInboxTable(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY, DeletionProtection: jsii.Bool(true), PointInTimeRecovery: jsii.Bool(true),
		})
		if box.InboxTable() != nil {
			t.Error("there is an inbox table before a consumer needs one")
		}
		for _, id := range []string{"Billing", "Shipping"} {
			box.AddConsumer(&id, &outbox.ConsumerProps{Entry: jsii.String(greet)})
		}
		same(t, "inbox table", box.InboxTable().Node().Path(), `"Stack/Outbox/InboxTable"`)
	})
	table := synthesize(t, stack).part(t, "Outbox/InboxTable")
	same(t, "properties", table.Properties, `{
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
		"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
		"BillingMode": "PAY_PER_REQUEST",
		"TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": true},
		"DeletionProtectionEnabled": true, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}
	}`)
	same(t, "deletion policy", table.DeletionPolicy, `"Delete"`)
}

func TestInboxEnvironmentAndPermissions(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			Entry:       jsii.String(greet),
			Environment: &map[string]*string{"CARRIER": jsii.String("post")},
			BusinessTables: &[]*outbox.BusinessTable{{
				Table:   inboxTable(stack, "Shipments", "id"),
				Actions: []outbox.TransactAction{outbox.TransactAction_UPDATE, outbox.TransactAction_CONDITION_CHECK},
			}},
		})
	})
	tpl := synthesize(t, stack)
	// 2 days on the way, 7 in the queue, 14 in the dead-letter queue.
	same(t, "environment", environment(t, tpl, "Outbox/Shipping/Function"), `{"Variables": {
		"CARRIER": "post", "INBOX_TABLE": "${Outbox/InboxTable}", "INBOX_CONSUMER": "Stack/Outbox/Shipping", "INBOX_TTL_SECONDS": "1987200",
		"CONSUMER_QUEUE_URL": "${Outbox/Shipping/Queue}", "CONSUMER_DLQ_URL": "${Outbox/Shipping/DeadLetterQueue}"
	}}`)
	// Its own markers and positions, and no other consumer's.
	const ownKeys = `"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["event#Stack/Outbox/Shipping#*", "position#Stack/Outbox/Shipping#*"]},
		"Null": {"dynamodb:LeadingKeys": "false"}`
	same(t, "policy", tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"])[2:], `[
		{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "${Outbox/InboxTable.Arn}",
		 "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}, `+ownKeys+`}},
		{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "${Outbox/InboxTable.Arn}", "Condition": {`+ownKeys+`}},
		{"Effect": "Allow", "Action": ["dynamodb:ConditionCheckItem", "dynamodb:UpdateItem"], "Resource": "${Shipments.Arn}",
		 "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}},
		{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "${Outbox/Shipping/DeadLetterQueue.Arn}"},
		{"Effect": "Allow", "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], "Resource": "${Outbox/Shipping/Queue.Arn}"}
	]`)
}

func TestInboxNone(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{Inbox: outbox.Inbox_NONE})
	list(t, "tables", tpl.paths("AWS::DynamoDB::Table"), "Outbox/Table")
	same(t, "environment", tpl.part(t, "Outbox/Shipping/Function").Properties["Environment"], `null`)
}

func TestInboxUnderAKey(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{EncryptionKey: awskms.NewKey(stack, jsii.String("Key"), nil)})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Entry: jsii.String(greet)})
	})
	tpl := synthesize(t, stack)
	same(t, "inbox table", tpl.readable(tpl.part(t, "Outbox/InboxTable").Properties["SSESpecification"]), `{"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": "${Key.Arn}"}`)
	allowed := map[string]bool{}
	for _, s := range tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"]) {
		statement := s.(map[string]any)
		if statement["Resource"] != "${Key.Arn}" {
			continue
		}
		actions, isList := statement["Action"].([]any)
		if !isList {
			actions = []any{statement["Action"]}
		}
		for _, action := range actions {
			allowed[action.(string)] = true
		}
	}
	same(t, "what the function may do with the key", allowed,
		`{"kms:Decrypt": true, "kms:DescribeKey": true, "kms:Encrypt": true, "kms:GenerateDataKey": true, "kms:GenerateDataKey*": true, "kms:ReEncrypt*": true}`)
}

func TestSuppliedInboxTable(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{InboxTable: inboxTable(stack, "Seen", "pk")})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Entry: jsii.String(greet)})
	})
	tpl := synthesize(t, stack)
	list(t, "tables", tpl.paths("AWS::DynamoDB::Table"), "Outbox/Table", "Seen")
	same(t, "inbox table", environment(t, tpl, "Outbox/Shipping/Function")["Variables"].(map[string]any)["INBOX_TABLE"], `"${Seen}"`)
}

// An event must be remembered until it cannot come again.
func TestInboxTTL(t *testing.T) {
	queueOf := func(stack awscdk.Stack, deadLetters, queue float64) awssqs.IQueue {
		return awssqs.NewQueue(stack, jsii.String("Queue"), &awssqs.QueueProps{
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
			RetentionPeriod:   days(queue),
			DeadLetterQueue: &awssqs.DeadLetterQueue{
				MaxReceiveCount: jsii.Number(5),
				Queue:           awssqs.NewQueue(stack, jsii.String("DLQ"), &awssqs.QueueProps{RetentionPeriod: days(deadLetters)}),
			},
		})
	}
	imported := func(stack awscdk.Stack, name string) awssqs.IQueue {
		return awssqs.Queue_FromQueueArn(stack, &name, jsii.String("arn:aws:sqs:eu-west-1:111111111111:"+name))
	}
	for name, test := range map[string]struct {
		props func(awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps)
		days  string
	}{
		"defaults": {func(awscdk.Stack) (box outbox.TransactionalOutboxProps, consumer outbox.ConsumerProps) { return }, "23"},
		"archive": {func(awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{ArchiveRetention: days(100)}, outbox.ConsumerProps{}
		}, "123"},
		"retention": {func(awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{}, outbox.ConsumerProps{RetentionPeriod: days(1)}
		}, "17"},
		"longer": {func(awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{}, outbox.ConsumerProps{InboxTTL: days(365)}
		}, "365"},
		"supplied queue": {func(s awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{}, outbox.ConsumerProps{Queue: queueOf(s, 5, 3)}
		}, "10"},
		"supplied dead-letter queue with SQS's own retention": {func(s awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{}, outbox.ConsumerProps{DeadLetterQueue: awssqs.NewQueue(s, jsii.String("DLQ"), nil)}
		}, "13"},
		"imported queues": {func(s awscdk.Stack) (outbox.TransactionalOutboxProps, outbox.ConsumerProps) {
			return outbox.TransactionalOutboxProps{}, outbox.ConsumerProps{Queue: imported(s, "ship"), DeadLetterQueue: imported(s, "ship-dlq")}
		}, "30"},
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				boxProps, props := test.props(stack)
				props.Entry = jsii.String(greet)
				newOutbox(stack, boxProps).AddConsumer(jsii.String("Shipping"), &props)
			})
			variables := environment(t, synthesize(t, stack), "Outbox/Shipping/Function")["Variables"].(map[string]any)
			ttl, err := time.ParseDuration(variables["INBOX_TTL_SECONDS"].(string) + "s")
			if err != nil {
				t.Fatal(err)
			}
			same(t, "days", ttl.Hours()/24, test.days)
		})
	}
}

func TestImportedOutboxRemembersAsLongAsTheArchive(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
			Source:           jsii.String("orders"),
			EventBus:         awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
			ArchiveRetention: days(10),
			InboxTable:       inboxTable(stack, "Seen", "pk"),
		})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Entry: jsii.String(greet)})
	})
	variables := environment(t, synthesize(t, stack), "Orders/Shipping/Function")["Variables"].(map[string]any)
	same(t, "TTL", variables["INBOX_TTL_SECONDS"], `"2851200"`)
	same(t, "table", variables["INBOX_TABLE"], `"${Seen}"`)
}

func TestOrderedConsumer(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{Ordered: jsii.Bool(true), AggregateTypes: jsii.Strings("Order")})
	same(t, "pattern", tpl.part(t, "Outbox/Shipping/Rule").Properties["EventPattern"], `{"source": ["orders"], "detail": {"aggregateType": ["Order"]}}`)
	same(t, "receives", tpl.part(t, "Outbox/Shipping/Queue").Properties["RedrivePolicy"].(map[string]any)["maxReceiveCount"], `40`)
	var queueActions []any
	for _, s := range tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"]) {
		if statement := s.(map[string]any); statement["Resource"] == "${Outbox/Shipping/Queue.Arn}" {
			queueActions = append(queueActions, statement["Action"])
		}
	}
	same(t, "what the function may do with its queue", queueActions,
		`[["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]]`)

	fewer := synthesizeConsumer(t, outbox.ConsumerProps{Ordered: jsii.Bool(true), AggregateTypes: jsii.Strings("Order"), MaxReceiveCount: jsii.Number(7)})
	same(t, "receives when set", fewer.part(t, "Outbox/Shipping/Queue").Properties["RedrivePolicy"].(map[string]any)["maxReceiveCount"], `7`)
}

func TestWriterFunction(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		writer := newFunction(stack, "Writer", 10)
		box.GrantWrite(writer)
		box.GrantReadVersions(writer)
		outbox.GrantTransactionWrites(inboxTable(stack, "Orders", "id"), writer, outbox.TransactAction_PUT, outbox.TransactAction_DELETE)
	})
	tpl := synthesize(t, stack)
	same(t, "environment", environment(t, tpl, "Writer"), `{"Variables": {"OUTBOX_TABLE": "${Outbox/Table}", "OUTBOX_SOURCE": "orders", "OUTBOX_RETENTION_SECONDS": "604800"}}`)
	same(t, "policy", tpl.statements(tpl.part(t, "Writer/ServiceRole/DefaultPolicy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "${Outbox/Table.Arn}",
		 "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}},
		{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "${Outbox/Table.Arn}"},
		{"Effect": "Allow", "Action": ["dynamodb:DeleteItem", "dynamodb:PutItem"], "Resource": "${Orders.Arn}",
		 "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}}
	]`)
}

func TestInboxRefuses(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack, outbox.TransactionalOutboxProps{ArchiveRetention: days(1)})
	entry, order := jsii.String(greet), jsii.Strings("Order")
	ordered := jsii.Bool(true)
	shared := newFunction(stack, "Shared", 10)
	box.AddConsumer(jsii.String("First"), &outbox.ConsumerProps{Function: shared})
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"an unknown inbox": {outbox.ConsumerProps{Entry: entry, Inbox: "QUEUE"}, `Inbox is "QUEUE", allowed are TABLE and NONE`},
		"a short memory": {
			outbox.ConsumerProps{Entry: entry, InboxTTL: days(23)},
			"InboxTTL is 552h0m0s, allowed are at least 576h0m0s: an event could come again after it is forgotten",
		},
		"a memory without inbox": {
			outbox.ConsumerProps{Entry: entry, Inbox: outbox.Inbox_NONE, InboxTTL: days(100)},
			"InboxTTL is set together with Inbox NONE: it needs the inbox",
		},
		"business tables without inbox": {
			outbox.ConsumerProps{Entry: entry, Inbox: outbox.Inbox_NONE, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table()}}},
			"BusinessTables is set together with Inbox NONE: it needs the inbox",
		},
		"a business table without actions": {
			outbox.ConsumerProps{Entry: entry, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table()}}},
			"BusinessTables[0].Actions must name at least one of Put, Update, Delete and ConditionCheck, got none",
		},
		"a business table with an unknown action": {
			outbox.ConsumerProps{Entry: entry, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table(), Actions: []outbox.TransactAction{"PutItem"}}}},
			`BusinessTables[0].Actions must be of Put, Update, Delete and ConditionCheck, got "PutItem"`,
		},
		"no business table": {
			outbox.ConsumerProps{Entry: entry, BusinessTables: &[]*outbox.BusinessTable{nil, {Actions: []outbox.TransactAction{outbox.TransactAction_PUT}}}},
			"BusinessTables[0].Table is missing: the table that the function writes\nBusinessTables[1].Table is missing",
		},
		"order without inbox": {
			outbox.ConsumerProps{Entry: entry, Inbox: outbox.Inbox_NONE, Ordered: ordered, AggregateTypes: order},
			"Ordered is set together with Inbox NONE: it needs the inbox",
		},
		"order of everything": {
			outbox.ConsumerProps{Entry: entry, Ordered: ordered},
			"AggregateTypes is missing: an ordered consumer gets every event of the aggregate types it names",
		},
		"order of some types": {
			outbox.ConsumerProps{Entry: entry, Ordered: ordered, AggregateTypes: order, EventTypes: jsii.Strings("OrderUpdated")},
			"EventTypes or Detail is set together with Ordered: an event that is filtered out could not be told from a lost one",
		},
		"order of some details": {
			outbox.ConsumerProps{Entry: entry, Ordered: ordered, AggregateTypes: order, Detail: &map[string]any{"version": jsii.Strings("1")}},
			"EventTypes or Detail is set together with Ordered",
		},
		"an imported function": {
			outbox.ConsumerProps{
				Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Imported"), jsii.String("ship")),
				VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(5)),
			},
			"Inbox is TABLE, allowed is NONE with an imported Function, whose environment cannot be set here",
		},
		"a function of two consumers": {
			outbox.ConsumerProps{Function: shared},
			"Function is that of consumer Stack/Outbox/First already, and its environment names one inbox: give each consumer a function, or set Inbox to NONE",
		},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() { box.AddConsumer(jsii.String("Shipping"), &test.props) })
			if !strings.Contains(message, test.want) {
				t.Errorf("it says %q, want %q", message, test.want)
			}
		})
	}
	t.Run("an inbox table with other keys", func(t *testing.T) {
		message := refused(t, func() {
			newOutbox(newStack(t), outbox.TransactionalOutboxProps{InboxTable: inboxTable(stack, "Other", "id")})
		})
		if want := "InboxTable has the keys [id], allowed are [pk]"; !strings.Contains(message, want) {
			t.Errorf("it says %q, want %q", message, want)
		}
	})
	t.Run("an id with #", func(t *testing.T) {
		message := refused(t, func() { box.AddConsumer(jsii.String("a#b"), &outbox.ConsumerProps{Entry: entry}) })
		if want := "the id contains '#', which runtime/inbox keeps for itself"; !strings.Contains(message, want) {
			t.Errorf("it says %q, want %q", message, want)
		}
	})
}

package synth

import (
	"fmt"
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

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
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
			box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter()})
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
			GoFunction: &golambda.FunctionProps{
				Entry:       jsii.String(greet),
				Environment: &map[string]*string{"CARRIER": jsii.String("post")},
			},
			BusinessTables: &[]*outbox.BusinessTable{{
				Table:   inboxTable(stack, "Shipments", "id"),
				Actions: []outbox.TransactAction{outbox.TransactAction_UPDATE, outbox.TransactAction_CONDITION_CHECK},
			}},
		})
	})
	tpl := synthesize(t, stack)
	// 2 days on the way, 14 in each dead-letter queue on it, 7 in the outbox table, 7 in the queue, 14 in the dead-letter queue.
	same(t, "environment", environment(t, tpl, "Outbox/Shipping/Function"), `{"Variables": {
		"CARRIER": "post", "INBOX_TABLE": "${Outbox/InboxTable}", "INBOX_CONSUMER": "Stack/Outbox/Shipping", "INBOX_TTL_SECONDS": "5011200",
		"CONSUMER_QUEUE_URL": "${Outbox/Shipping/Queue}", "CONSUMER_DLQ_URL": "${Outbox/Shipping/DeadLetterQueue}"
	}}`)
	// What the inbox keeps for this consumer, and for no other.
	const ownKeys = `"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["event#Stack/Outbox/Shipping#*"]},
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
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
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
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
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
	unknownDays := awscdk.Duration_Days(awscdk.Token_AsNumber(awscdk.Fn_Ref(jsii.String("AWS::AccountId"))))
	unknownSeconds := awscdk.Duration_Seconds(awscdk.Token_AsNumber(awscdk.Fn_Ref(jsii.String("AWS::AccountId"))))
	type properties struct {
		outbox.TransactionalOutboxProps
		outbox.ConsumerProps
	}
	for name, test := range map[string]struct {
		props func(awscdk.Stack, *properties)
		days  string
	}{
		// 2 on its way, 14 in the pipe's and 14 in the rules' dead-letter queue, 7 in the outbox table, 7 in the
		// queue, 14 in its dead-letter queue.
		"defaults":                  {func(awscdk.Stack, *properties) {}, "58"},
		"archive":                   {func(_ awscdk.Stack, p *properties) { p.ArchiveRetention = days(100) }, "158"},
		"archive of unknown length": {func(_ awscdk.Stack, p *properties) { p.ArchiveRetention = unknownDays }, "3708"},
		"no archive":                {func(_ awscdk.Stack, p *properties) { p.ArchiveRetention = days(0) }, "58"},
		"events":                    {func(_ awscdk.Stack, p *properties) { p.EventRetention = days(30) }, "81"},
		"events of unknown length":  {func(_ awscdk.Stack, p *properties) { p.EventRetention = unknownSeconds }, "3701"},
		"a bus whose archives are not known": {func(s awscdk.Stack, p *properties) {
			p.EventBus = awsevents.EventBus_FromEventBusName(s, jsii.String("Bus"), jsii.String("company"))
		}, "3708"},
		"a bus without archives": {func(s awscdk.Stack, p *properties) {
			p.EventBus = awsevents.EventBus_FromEventBusName(s, jsii.String("Bus"), jsii.String("company"))
			p.ArchiveRetention = days(0)
		}, "58"},
		"retention":                   {func(_ awscdk.Stack, p *properties) { p.RetentionPeriod = days(1) }, "52"},
		"retention of unknown length": {func(_ awscdk.Stack, p *properties) { p.RetentionPeriod = unknownSeconds }, "65"},
		"longer":                      {func(_ awscdk.Stack, p *properties) { p.InboxTTL = days(365) }, "365"},
		"supplied queue":              {func(s awscdk.Stack, p *properties) { p.Queue = queueOf(s, 5, 3) }, "45"},
		"supplied dead-letter queue with SQS's own retention": {func(s awscdk.Stack, p *properties) {
			p.RetentionPeriod = days(3)
			p.DeadLetterQueue = awssqs.NewQueue(s, jsii.String("DLQ"), nil)
		}, "44"},
		"imported queues": {func(s awscdk.Stack, p *properties) {
			p.Queue, p.DeadLetterQueue = imported(s, "ship"), imported(s, "ship-dlq")
			p.VisibilityTimeout = awscdk.Duration_Minutes(jsii.Number(1))
		}, "65"},
		"an imported queue of a retention that is told": {func(s awscdk.Stack, p *properties) {
			p.Queue, p.DeadLetterQueue = imported(s, "ship"), imported(s, "ship-dlq")
			p.VisibilityTimeout = awscdk.Duration_Minutes(jsii.Number(1))
			p.RetentionPeriod = days(4)
		}, "55"},
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				p := properties{ConsumerProps: outbox.ConsumerProps{GoFunction: greeter()}}
				test.props(stack, &p)
				newOutbox(stack, p.TransactionalOutboxProps).AddConsumer(jsii.String("Shipping"), &p.ConsumerProps)
			})
			same(t, "days", ttlDays(t, synthesize(t, stack), "Outbox/Shipping/Function"), test.days)
		})
	}
}

func ttlDays(t *testing.T, tpl template, path string) float64 {
	t.Helper()
	variables := environment(t, tpl, path)["Variables"].(map[string]any)
	ttl, err := time.ParseDuration(variables["INBOX_TTL_SECONDS"].(string) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return ttl.Hours() / 24
}

func TestImportedOutboxRemembersAsLongAsItsOwnerCanSendAgain(t *testing.T) {
	for name, test := range map[string]struct {
		events, archive awscdk.Duration
		days            string
	}{
		// 51 are those of a consumer alone.
		"told":                 {days(30), days(10), "91"},
		"without archives":     {days(30), days(0), "81"},
		"nothing told":         {nil, nil, "7351"},
		"events not told":      {nil, days(10), "3711"},
		"the archive not told": {days(30), nil, "3731"},
	} {
		t.Run(name, func(t *testing.T) {
			stack := newStack(t)
			guard(t, func() {
				box := outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
					Source:           jsii.String("orders"),
					EventBus:         awsevents.EventBus_FromEventBusArn(stack, jsii.String("Bus"), jsii.String(busARN)),
					EventRetention:   test.events,
					ArchiveRetention: test.archive,
					InboxTable:       inboxTable(stack, "Seen", "pk"),
				})
				box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
			})
			tpl := synthesize(t, stack)
			same(t, "days", ttlDays(t, tpl, "Orders/Shipping/Function"), test.days)
			same(t, "table", environment(t, tpl, "Orders/Shipping/Function")["Variables"].(map[string]any)["INBOX_TABLE"], `"${Seen}"`)
		})
	}
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

// An ordered consumer finds out when the predecessors of an event were written, and may read nothing else of events.
func TestOrderedConsumerReadsTheHistory(t *testing.T) {
	stack := newStack(t)
	ordered := &outbox.ConsumerProps{
		GoFunction: &golambda.FunctionProps{Entry: jsii.String(greet)}, Ordered: jsii.Bool(true), AggregateTypes: jsii.Strings("Order"),
	}
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{EncryptionKey: awskms.NewKey(stack, jsii.String("Key"), nil)})
		box.AddConsumer(jsii.String("Shipping"), ordered)
		outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("NoTable"), &outbox.TransactionalOutboxAttributes{
			Source: jsii.String("orders"), EventBus: box.EventBus(),
		}).AddConsumer(jsii.String("Billing"), ordered)
	})
	tpl := synthesize(t, stack)
	const function, without = "Outbox/Shipping/Function", "NoTable/Billing/Function"
	same(t, "origin", environment(t, tpl, function)["Variables"].(map[string]any)["INBOX_ORIGIN_TABLE"], `"${Outbox/Table}"`)
	same(t, "origin without a table", environment(t, tpl, without)["Variables"].(map[string]any)["INBOX_ORIGIN_TABLE"], `null`)
	var history, keys []any
	for _, s := range tpl.roleStatements(t, function+"/Role") {
		statement := s.(map[string]any)
		if statement["Resource"] == "${Outbox/Table.Arn}" {
			history = append(history, statement)
		}
		if limit, ok := asMap(statement["Condition"])["ForAllValues:StringLike"]; ok {
			keys = append(keys, limit)
		}
	}
	same(t, "what it may read of the outbox table", history, `[{
		"Effect": "Allow", "Action": "dynamodb:Query", "Resource": "${Outbox/Table.Arn}",
		"Condition": {
			"ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "id", "source", "version", "occurredAt", "writtenAt"]},
			"StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
		}
	}]`)
	const own = `{"dynamodb:LeadingKeys": ["event#Stack/Outbox/Shipping#*", "position#Stack/Outbox/Shipping#*", "join#Stack/Outbox/Shipping",
		"start#Stack/Outbox/Shipping#*", "waiting#Stack/Outbox/Shipping#*"]}`
	same(t, "its keys in the inbox", keys, `[`+own+`, `+own+`]`)
	for _, s := range tpl.roleStatements(t, without+"/Role") {
		if action := fmt.Sprint(s.(map[string]any)["Action"]); strings.Contains(action, "Query") {
			t.Errorf("without a table it may %s", action)
		}
	}
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

// A function that reads its own value of one of our variables would get ours, or the other way around.
func TestVariablesOfAGoFunctionAreNotOverwritten(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	function := golambda.NewFunction(stack, jsii.String("Own"), &golambda.FunctionProps{
		Entry: jsii.String(greet), Environment: &map[string]*string{
			"INBOX_TABLE": jsii.String("mine"), "CONSUMER_DLQ_URL": jsii.String("mine"), "OUTBOX_SOURCE": jsii.String("mine"), "CARRIER": jsii.String("post"),
		},
	})
	message := refused(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: aliasOf(function, "live")})
	})
	same(t, "message", message, `"consumer \"Shipping\": Function must not set CONSUMER_DLQ_URL in its Environment, which the outbox sets\nFunction must not set INBOX_TABLE in its Environment, which the outbox sets"`)
	message = refused(t, func() { box.GrantWrite(function) })
	same(t, "message", message, `"GrantWrite of outbox \"Stack/Outbox\": function Stack/Own/Default must not set OUTBOX_SOURCE in its Environment, which the outbox sets"`)
	// Nothing is set for a consumer without an inbox, and for one with an inbox nothing of a writer's.
	guard(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Function: function, Inbox: outbox.Inbox_NONE})
		other := golambda.NewFunction(stack, jsii.String("Other"), &golambda.FunctionProps{
			Entry: jsii.String(greet), Environment: &map[string]*string{"OUTBOX_SOURCE": jsii.String("mine"), "CARRIER": jsii.String("post")},
		})
		box.AddConsumer(jsii.String("Billing"), &outbox.ConsumerProps{Function: other})
	})
}

func TestInboxRefuses(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack, outbox.TransactionalOutboxProps{ArchiveRetention: days(1)})
	entry, order := greeter(), jsii.Strings("Order")
	ordered := jsii.Bool(true)
	shared := newFunction(stack, "Shared", 10)
	box.AddConsumer(jsii.String("First"), &outbox.ConsumerProps{Function: shared})
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"an unknown inbox": {outbox.ConsumerProps{GoFunction: entry, Inbox: "QUEUE"}, `Inbox must be TABLE or NONE, got "QUEUE"`},
		"a short memory": {
			outbox.ConsumerProps{GoFunction: entry, InboxTTL: days(58)},
			"InboxTTL must be whole seconds from 59 days, for which an event can come again, to 10000 days, got 58 days",
		},
		"a memory without inbox": {
			outbox.ConsumerProps{GoFunction: entry, Inbox: outbox.Inbox_NONE, InboxTTL: days(100)},
			"InboxTTL must not be set together with Inbox NONE: it needs the inbox",
		},
		"business tables without inbox": {
			outbox.ConsumerProps{GoFunction: entry, Inbox: outbox.Inbox_NONE, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table()}}},
			"BusinessTables must not be set together with Inbox NONE: it needs the inbox",
		},
		"a business table without actions": {
			outbox.ConsumerProps{GoFunction: entry, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table()}}},
			"BusinessTables[0].Actions must name at least one of Put, Update, Delete and ConditionCheck, got none",
		},
		"a business table with an unknown action": {
			outbox.ConsumerProps{GoFunction: entry, BusinessTables: &[]*outbox.BusinessTable{{Table: box.Table(), Actions: []outbox.TransactAction{"PutItem"}}}},
			`BusinessTables[0].Actions must be of Put, Update, Delete and ConditionCheck, got "PutItem"`,
		},
		"no business table": {
			outbox.ConsumerProps{GoFunction: entry, BusinessTables: &[]*outbox.BusinessTable{nil, {Actions: []outbox.TransactAction{outbox.TransactAction_PUT}}}},
			"BusinessTables[0].Table is missing: the table that the function writes\nBusinessTables[1].Table is missing",
		},
		"order without inbox": {
			outbox.ConsumerProps{GoFunction: entry, Inbox: outbox.Inbox_NONE, Ordered: ordered, AggregateTypes: order},
			"Ordered must not be set together with Inbox NONE: it needs the inbox",
		},
		"order of everything": {
			outbox.ConsumerProps{GoFunction: entry, Ordered: ordered},
			"AggregateTypes is missing: an ordered consumer gets every event of the aggregate types it names",
		},
		"order of some types": {
			outbox.ConsumerProps{GoFunction: entry, Ordered: ordered, AggregateTypes: order, EventTypes: jsii.Strings("OrderUpdated")},
			"EventTypes and Detail must not be set together with Ordered: an event that is filtered out could not be told from a lost one",
		},
		"order of some details": {
			outbox.ConsumerProps{GoFunction: entry, Ordered: ordered, AggregateTypes: order, Detail: &map[string]any{"version": jsii.Strings("1")}},
			"EventTypes and Detail must not be set together with Ordered",
		},
		"an imported function": {
			outbox.ConsumerProps{
				Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Imported"), jsii.String("ship")),
				VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(5)),
			},
			"Function must be one of this app, or an alias of its current version, with Inbox TABLE, got one whose environment cannot be set here, like an imported one: set Inbox to NONE",
		},
		"a function of two consumers": {
			outbox.ConsumerProps{Function: shared},
			"Function must be that of one consumer with an inbox, got that of Stack/Outbox/First, whose name is in its environment: give each consumer a function, or set Inbox to NONE",
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
		if want := "InboxTable must have the keys [pk], got [id]"; !strings.Contains(message, want) {
			t.Errorf("it says %q, want %q", message, want)
		}
	})
}

package synth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// ownTable is a table of the application that can be an outbox, too.
func ownTable(stack awscdk.Stack) awsdynamodb.ITable {
	return awsdynamodb.NewTable(stack, jsii.String("Business"), &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("pk"), Type: awsdynamodb.AttributeType_STRING},
		SortKey:      &awsdynamodb.Attribute{Name: jsii.String("sk"), Type: awsdynamodb.AttributeType_STRING},
		Stream:       awsdynamodb.StreamViewType_NEW_IMAGE,
	})
}

// synthesizeAudit is the template of an audited outbox with a consumer of each kind.
func synthesizeAudit(t *testing.T, props outbox.TransactionalOutboxProps) template {
	t.Helper()
	stack := newStack(t)
	guard(t, func() {
		if props.Audit == nil {
			props.Audit = &outbox.AuditProps{}
		}
		props.Alarms = &outbox.AlarmProps{}
		box := newOutbox(stack, props)
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{EventTypes: jsii.Strings("OrderCreated"), GoFunction: greeter()})
		box.AddConsumer(jsii.String("History"), &outbox.ConsumerProps{Ordered: jsii.Bool(true), AggregateTypes: jsii.Strings("Order"), GoFunction: greeter()})
	})
	return synthesize(t, stack)
}

func TestAudit(t *testing.T) {
	tpl := synthesizeAudit(t, outbox.TransactionalOutboxProps{})
	withoutCircles(t, tpl)

	function := tpl.part(t, "Outbox/Auditor")
	same(t, "environment", tpl.readable(function.Properties["Environment"]), `{"Variables": {"AUDIT_PARAMETERS": "/outboxkit/${AWS::StackName}/Outbox"}}`)
	same(t, "size", []any{function.Properties["MemorySize"], function.Properties["Timeout"], function.Properties["TracingConfig"]}, `[256, 300, null]`)

	same(t, "asynchronous invocations", tpl.readable(tpl.part(t, "Outbox/Auditor/Default/EventInvokeConfig").Properties), onceAMinute("Outbox/Auditor"))

	mapping := tpl.part(t, "Outbox/AuditMapping")
	properties := tpl.readable(mapping.Properties).(map[string]any)
	filter := properties["FilterCriteria"]
	delete(properties, "FilterCriteria")
	same(t, "mapping", properties, `{
		"FunctionName": "${Outbox/Auditor}", "EventSourceArn": "${Outbox/Table.StreamArn}", "StartingPosition": "TRIM_HORIZON",
		"BatchSize": 1000, "MaximumBatchingWindowInSeconds": 300, "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": 82800,
		"BisectBatchOnFunctionError": true, "FunctionResponseTypes": ["ReportBatchItemFailures"],
		"DestinationConfig": {"OnFailure": {"Destination": "${Outbox/AuditDeadLetterQueue.Arn}"}}}`)
	same(t, "filter", filter, `{"Filters": [{"Pattern": "{\"dynamodb\":{\"NewImage\":{\"recordType\":{\"S\":[\"outbox.event\"]},\"source\":{\"S\":[\"orders\"]}}},\"eventName\":[\"INSERT\"]}"}]}`)
	descriptions := []string{"Outbox/Description", "Outbox/History/Description", "Outbox/Shipping/Description"}
	list(t, "what is there before the mapping", tpl.dependencies(mapping), slices.Concat([]string{"Outbox/Auditor/Role/DefaultPolicy"}, descriptions)...)
	schedule := tpl.part(t, "Outbox/AuditSchedule")
	list(t, "what is there before the schedule", tpl.dependencies(schedule), descriptions[1:]...) // the first names it
	same(t, "schedule", []any{schedule.Properties["ScheduleExpression"], tpl.readable(schedule.Properties["Targets"])},
		`["rate(1 minute)", [{"Id": "Function", "Arn": "${Outbox/Auditor.Arn}"}]]`)

	same(t, "table", tpl.part(t, "Outbox/AuditTable").Properties, `{
		"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
		"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
		"BillingMode": "PAY_PER_REQUEST", "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": true}}`)
	same(t, "pending", tpl.part(t, "Outbox/AuditQueue").Properties, `{"MessageRetentionPeriod": 1209600, "VisibilityTimeout": 360, "SqsManagedSseEnabled": true}`)
	same(t, "dead letters", tpl.part(t, "Outbox/AuditDeadLetterQueue").Properties, `{"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true}`)

	_, box := described[description.Outbox](t, tpl, "Outbox")
	sameJSON(t, "description", box.Audit, `{"function": "${Outbox/Auditor}", "table": "${Outbox/AuditTable}", "pending": "${Outbox/AuditQueue}",
		"deadLetterQueue": "${Outbox/AuditDeadLetterQueue}", "confirmWithinSeconds": "900", "alarmAfterSeconds": "3600", "schedule": "${Outbox/AuditSchedule}"}`)
	withoutCircles(t, tpl)
}

// A batch of the stream is read soon enough for its events to be looked at when they are due.
func TestTheAuditorsBatchesFitConfirmWithin(t *testing.T) {
	for within, want := range map[float64]float64{60: 20, 100: 33, 900: 300, 12 * 3600: 300} {
		tpl := synthesizeAudit(t, outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{ConfirmWithin: awscdk.Duration_Seconds(&within)}})
		if got := tpl.part(t, "Outbox/AuditMapping").Properties["MaximumBatchingWindowInSeconds"]; got != want {
			t.Errorf("with a ConfirmWithin of %v seconds the window is %v, want %v", within, got, want)
		}
	}
}

// It may read what consumers leave in the inbox and nothing that others keep there, and changes nothing without Repair.
func TestWhatTheAuditorMayDo(t *testing.T) {
	tpl := synthesizeAudit(t, outbox.TransactionalOutboxProps{})
	same(t, "permissions", tpl.roleStatements(t, "Outbox/Auditor/Role")[1:], `[
		{"Effect": "Allow", "Action": ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], "Resource": "${Outbox/AuditTable.Arn}"},
		{"Effect": "Allow", "Action": ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"], "Resource": "${Outbox/AuditQueue.Arn}"},
		{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "${Outbox/AuditDeadLetterQueue.Arn}"},
		{"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource":
			"arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/outboxkit/${AWS::StackName}/Outbox"},
		{"Effect": "Allow", "Action": "pipes:DescribePipe", "Resource": "${Outbox/Pipe.Arn}"},
		{"Effect": "Allow", "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], "Resource": "${Outbox/Table.StreamArn}"},
		{"Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": "*"},
		{"Effect": "Allow", "Action": "dynamodb:BatchGetItem", "Resource": "${Outbox/InboxTable.Arn}", "Condition": {
			"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["event#Stack/Outbox/Shipping#*", "position#Stack/Outbox/History#*", "join#Stack/Outbox/History", "start#Stack/Outbox/History#*"]},
			"Null": {"dynamodb:LeadingKeys": "false"}}},
		{"Effect": "Allow", "Action": "sqs:GetQueueAttributes", "Resource": ["${Outbox/History/Queue.Arn}", "${Outbox/Shipping/Queue.Arn}"]}
	]`)
}

func TestWhatARepairingAuditorMayDo(t *testing.T) {
	without := synthesizeAudit(t, outbox.TransactionalOutboxProps{}).roleStatements(t, "Outbox/Auditor/Role")
	tpl := synthesizeAudit(t, outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{Repair: &outbox.RepairProps{}}})
	var more []any
	for _, statement := range tpl.roleStatements(t, "Outbox/Auditor/Role") {
		if !slices.ContainsFunc(without, func(other any) bool { return canonical(t, other) == canonical(t, statement) }) {
			more = append(more, statement)
		}
	}
	same(t, "what it may do besides", more, `[
		{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "${Outbox/Table.Arn}"},
		{"Effect": "Allow", "Action": ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], "Resource": [
			"${Outbox/History/DeadLetterQueue.Arn}", "${Outbox/PipeDeadLetterQueue.Arn}", "${Outbox/RuleDeadLetterQueue.Arn}", "${Outbox/Shipping/DeadLetterQueue.Arn}"]},
		{"Effect": "Allow", "Action": ["sqs:GetQueueAttributes", "sqs:SendMessage"], "Resource": ["${Outbox/History/Queue.Arn}", "${Outbox/Shipping/Queue.Arn}"]}
	]`)
	_, box := described[description.Outbox](t, tpl, "Outbox")
	same(t, "repairs a minute", box.Audit.RepairPerMinute, `"60"`)
}

// With a customer-managed key, each service may use it in the auditor's name.
func TestAuditWithAKey(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			EncryptionKey: awskms.NewKey(stack, jsii.String("Key"), nil), Audit: &outbox.AuditProps{}, Monitor: &outbox.MonitorProps{}, Alarms: &outbox.AlarmProps{},
		})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	tpl := synthesize(t, stack)
	withoutCircles(t, tpl)
	for _, role := range []string{"Outbox/Auditor/Role", "Outbox/Heartbeat/Role"} {
		text := canonical(t, tpl.roleStatements(t, role))
		for _, service := range []string{"dynamodb", "sqs"} {
			if !strings.Contains(text, `"kms:ViaService": "`+service+`.${AWS::Region}.amazonaws.com*"`) {
				t.Errorf("%s may not use the key through %s:\n%s", role, service, text)
			}
		}
	}
	for _, queue := range []string{"Outbox/AuditQueue", "Outbox/AuditDeadLetterQueue", "Outbox/HeartbeatQueue"} {
		same(t, "key of "+queue, tpl.readable(tpl.part(t, queue).Properties["KmsMasterKeyId"]), `"${Key.Arn}"`)
	}
}

func TestAuditAlarms(t *testing.T) {
	tpl := synthesizeAudit(t, outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{
		ConfirmWithin: awscdk.Duration_Hours(jsii.Number(1)),
		Consumers:     &[]*outbox.AuditedConsumer{{Name: jsii.String("Analytics/Orders/Revenue"), InboxTable: awsdynamodb.Table_FromTableName(newStack(t), jsii.String("T"), jsii.String("inbox"))}},
	}})
	const box = `{"Name": "Outbox", "Value": "${AWS::StackName}/Outbox"}`
	sameAlarm(t, tpl, "Outbox/AuditSilentAlarm", `{"Namespace": "TransactionalOutbox", "MetricName": "AuditRuns", "Dimensions": [`+box+`], "Statistic": "Sum", "Period": 900,
		"Threshold": 1, "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching", "EvaluationPeriods": 1}`)
	sameAlarm(t, tpl, "Outbox/AuditDeadLettersAlarm", `{"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible",
		"Dimensions": [{"Name": "QueueName", "Value": "${Outbox/AuditDeadLetterQueue.QueueName}"}], "Statistic": "Maximum", "Period": 60,
		"Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching", "EvaluationPeriods": 1}`)
	for path, name := range map[string]string{
		"Outbox/Shipping": "Stack/Outbox/Shipping", "Outbox/History": "Stack/Outbox/History", "Outbox/Audited/Analytics--Orders--Revenue": "Analytics/Orders/Revenue",
	} {
		sameAlarm(t, tpl, path+"/UnconfirmedAlarm", `{"Namespace": "TransactionalOutbox", "MetricName": "OldestUnconfirmed",
			"Dimensions": [{"Name": "Consumer", "Value": "`+name+`"}, `+box+`], "Statistic": "Maximum", "Period": 60,
			"Threshold": 14400, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching", "EvaluationPeriods": 1}`)
	}
}

// What another app has deployed is described as if it were here, as far as it is known.
func TestAuditedConsumersOfOtherApps(t *testing.T) {
	stack := newStack(t)
	queue := func(name string) awssqs.IQueue {
		return awssqs.Queue_FromQueueArn(stack, &name, jsii.String("arn:aws:sqs:eu-west-1:111111111111:"+name))
	}
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{Alarms: &outbox.AlarmProps{}, Audit: &outbox.AuditProps{
			Repair: &outbox.RepairProps{MaximumPerMinute: jsii.Number(5)},
			Consumers: &[]*outbox.AuditedConsumer{
				{
					Name: jsii.String("Analytics/Orders/Revenue"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("Inbox"), jsii.String("inbox")),
					EventTypes: jsii.Strings("OrderCreated"), Queue: queue("revenue"), DeadLetterQueue: queue("revenue-dlq"), RuleDeadLetterQueue: queue("revenue-rules-dlq"),
				},
				{Name: jsii.String("Ledger"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("Ledger"), jsii.String("ledger")), AggregateTypes: jsii.Strings("Order"), Ordered: jsii.Bool(true)},
			},
		}}).AddConsumer(jsii.String("Ledger"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	tpl := synthesize(t, stack)
	name, revenue := described[description.Consumer](t, tpl, "Outbox/Audited/Analytics--Orders--Revenue")
	same(t, "name", name, `"/outboxkit/${AWS::StackName}/Outbox/consumer/audited.Analytics.Orders.Revenue"`)
	if !strings.HasSuffix(revenue.Queue, "/revenue") || !strings.HasSuffix(revenue.DeadLetterQueue, "/revenue-dlq") ||
		!strings.HasSuffix(revenue.RuleDeadLetterQueue, "/revenue-rules-dlq") {
		t.Errorf("the queues are %s, %s and %s", revenue.Queue, revenue.DeadLetterQueue, revenue.RuleDeadLetterQueue)
	}
	revenue.Queue, revenue.DeadLetterQueue, revenue.RuleDeadLetterQueue = "", "", ""
	sameJSON(t, "consumer", revenue, `{"version": "1", "id": "Analytics/Orders/Revenue", "name": "Analytics/Orders/Revenue", "inbox": "TABLE", "inboxTable": "inbox",
		"pattern": {"source": ["orders"], "detail-type": ["OrderCreated"]}}`)
	_, ledger := described[description.Consumer](t, tpl, "Outbox/Audited/Ledger")
	sameJSON(t, "consumer", ledger, `{"version": "1", "id": "Ledger", "name": "Ledger", "inbox": "TABLE", "inboxTable": "ledger", "ordered": true,
		"pattern": {"source": ["orders"], "detail": {"aggregateType": ["Order"]}}}`)
	list(t, "what is there before the mapping", tpl.dependencies(tpl.part(t, "Outbox/AuditMapping")), "Outbox/Audited/Analytics--Orders--Revenue/Description",
		"Outbox/Audited/Ledger/Description", "Outbox/Auditor/Role/DefaultPolicy", "Outbox/Description", "Outbox/Ledger/Description")
	text := canonical(t, tpl.roleStatements(t, "Outbox/Auditor/Role"))
	wants(t, text, "event#Analytics/Orders/Revenue#*", "position#Ledger#*", ":table/inbox", ":table/ledger", "eu-west-1:111111111111:revenue", "eu-west-1:111111111111:revenue-dlq", "eu-west-1:111111111111:revenue-rules-dlq")
}

// The auditor takes a name for one consumer.
func TestAConsumerMayNotHaveTheNameOfAnAuditedOne(t *testing.T) {
	stack := newStack(t)
	message := refused(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{
			Consumers: &[]*outbox.AuditedConsumer{
				{Name: jsii.String("Other"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("T"), jsii.String("inbox"))},
				{Name: jsii.String("Stack/Outbox/Ledger"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("L"), jsii.String("ledger"))},
			},
		}}).AddConsumer(jsii.String("Ledger"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	wants(t, message, `Name must differ from that of Audit.Consumers[1] of the outbox, got "Stack/Outbox/Ledger" for both`)
}

func TestAuditWarnings(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{Table: ownTable(stack), Alarms: &outbox.AlarmProps{}, Audit: &outbox.AuditProps{}}).
			AddConsumer(jsii.String("Show"), &outbox.ConsumerProps{
				Inbox:             outbox.Inbox_NONE,
				Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Function"), jsii.String("show")),
				VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
			})
	})
	all := strings.Join(warnings(t, stack), "\n")
	wants(t, all, "the audit cannot tell what Stack/Outbox/Show has done with its events, because it has no inbox",
		"a stream allows two readers, and that of a global table only one: the pipe and the auditor are two, so nothing else may read the stream of Table")
	tpl := synthesize(t, stack)
	if text := fmt.Sprint(tpl.paths("AWS::CloudWatch::Alarm")); strings.Contains(text, "Unconfirmed") {
		t.Errorf("there is an alarm that never goes off: %s", text)
	}
}

func TestAuditRefuses(t *testing.T) {
	hours := func(n float64) awscdk.Duration { return awscdk.Duration_Hours(&n) }
	stack := newStack(t)
	inbox := awsdynamodb.Table_FromTableName(stack, jsii.String("Inbox"), jsii.String("inbox"))
	message := refused(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{EventRetention: awscdk.Duration_Days(jsii.Number(2)), Audit: &outbox.AuditProps{
			ConfirmWithin: hours(13), AlarmAfter: hours(49), Repair: &outbox.RepairProps{MaximumPerMinute: jsii.Number(0)},
			Consumers: &[]*outbox.AuditedConsumer{
				nil,
				{},
				{Name: jsii.String("a#b"), InboxTable: inbox},
				{Name: jsii.String("A"), InboxTable: inbox},
				{Name: jsii.String("A"), InboxTable: inbox, EventTypes: jsii.Strings(), Detail: &map[string]any{"nothing": []string{"x"}}, Sources: jsii.Strings("orders.heartbeat")},
				{Name: jsii.String("B"), InboxTable: inbox, Queue: awssqs.NewQueue(stack, jsii.String("Queue"), nil)},
			},
		}})
	})
	wants(t, message,
		"Audit.ConfirmWithin must be whole seconds from 1m0s to 12h0m0s, got 13h0m0s",
		"Audit.AlarmAfter must be whole seconds from 1m0s to 2 days, got 49h0m0s",
		"Audit.Repair.MaximumPerMinute must be a whole number from 1 to 1000, got 0",
		"Audit.Consumers[0] must be a consumer, got nil",
		"Audit.Consumers[1].Name is missing: by which its inbox knows it",
		"Audit.Consumers[1].InboxTable is missing: without an inbox, nobody can tell what a consumer has done",
		`Audit.Consumers[2].Name must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and /, got "a#b"`,
		`Audit.Consumers[4].Name must differ from that of the others, got "A" again`,
		"Audit.Consumers[4].EventTypes must name at least one, got none",
		"Audit.Consumers[4].Sources[0] must not be the source of the outbox's heartbeats",
		"Audit.Consumers[4].Detail.nothing must be a field of the envelope",
		"Audit.Consumers[5].DeadLetterQueue is missing: with Repair, what waits there would be sent again",
		"Audit.Consumers[5].RuleDeadLetterQueue is missing: with Repair, what waits there would be sent again",
	)
	message = refused(t, func() {
		newOutbox(newStack(t), outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{ConfirmWithin: hours(2), AlarmAfter: hours(2)}})
	})
	wants(t, message, "Audit.AlarmAfter must be longer than Audit.ConfirmWithin, which is 2h0m0s, got 2h0m0s")
}

func TestAuditRefusesQueuesThatItCannotUse(t *testing.T) {
	stack := stackIn(t, "111111111111", "eu-west-1")
	queue := func(id, arn string) awssqs.IQueue {
		return awssqs.Queue_FromQueueArn(stack, &id, jsii.String("arn:aws:sqs:"+arn))
	}
	message := refused(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{Audit: &outbox.AuditProps{Consumers: &[]*outbox.AuditedConsumer{{
			Name: jsii.String("C"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("Inbox"), jsii.String("inbox")),
			Queue: queue("Elsewhere", "eu-central-1:111111111111:c"), DeadLetterQueue: queue("Fifo", "eu-west-1:222222222222:c.fifo"),
			RuleDeadLetterQueue: queue("Same", "eu-central-1:111111111111:c"),
		}}}})
	})
	wants(t, message,
		"Audit.Consumers[0].Queue must be in the stack's region eu-west-1, got one in eu-central-1: the auditor's role reaches no others",
		"Audit.Consumers[0].DeadLetterQueue must be in the stack's account 111111111111, got one in 222222222222: the auditor's role reaches no others",
		"Audit.Consumers[0].DeadLetterQueue must be a standard queue, as the constructs make it, got the FIFO queue Stack/Fifo",
		"Audit.Consumers[0].RuleDeadLetterQueue must differ from Queue, got Stack/Same for both",
	)
}

// onceAMinute is the configuration of a function that a schedule invokes: no run is tried again or comes late.
func onceAMinute(function string) string {
	return `{"FunctionName": "${` + function + `}", "Qualifier": "$LATEST", "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}`
}

package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func TestOutboxRefuses(t *testing.T) {
	stack := newStack(t)
	orders := jsii.String("orders")
	tableWith := func(id, partitionKey string, stream awsdynamodb.StreamViewType) awsdynamodb.ITable {
		return awsdynamodb.NewTable(stack, &id, &awsdynamodb.TableProps{
			PartitionKey: &awsdynamodb.Attribute{Name: &partitionKey, Type: awsdynamodb.AttributeType_STRING},
			SortKey:      &awsdynamodb.Attribute{Name: jsii.String("sk"), Type: awsdynamodb.AttributeType_STRING},
			Stream:       stream,
		})
	}
	fit, inbox := tableWith("Fit", "pk", awsdynamodb.StreamViewType_NEW_IMAGE), inboxTable(stack, "Inbox", "pk")
	for name, test := range map[string]struct {
		props outbox.TransactionalOutboxProps
		want  string
	}{
		"no source": {
			outbox.TransactionalOutboxProps{},
			"Source is missing: the name under which this application's events are on the bus",
		},
		"an empty source": {
			outbox.TransactionalOutboxProps{Source: jsii.String("")},
			`Source must have 1 to 256 bytes of UTF-8 without '#', got 0 in ""`,
		},
		"a long source": {
			outbox.TransactionalOutboxProps{Source: jsii.String(strings.Repeat("é", 129))},
			`Source must have 1 to 256 bytes of UTF-8 without '#', got 258 in "éé`,
		},
		"a source of AWS": {
			outbox.TransactionalOutboxProps{Source: jsii.String("aws.orders")},
			`Source must not begin with "aws.", which is reserved for AWS services, got "aws.orders"`,
		},
		"a source with #": {
			outbox.TransactionalOutboxProps{Source: jsii.String("or#ders")},
			`Source must have 1 to 256 bytes of UTF-8 without '#', got 7 in "or#ders"`,
		},
		"a source that is no UTF-8": {
			outbox.TransactionalOutboxProps{Source: jsii.String("or\xffders")},
			"Source must have 1 to 256 bytes of UTF-8 without '#', got 7 in",
		},
		"LATEST": {
			outbox.TransactionalOutboxProps{Source: orders, StartingPosition: awslambda.StartingPosition_LATEST},
			"StartingPosition must be TRIM_HORIZON, got LATEST",
		},
		"infinite retries": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRetryAttempts: jsii.Number(-1)},
			"MaximumRetryAttempts must be a whole number from 0 to 10000, got -1",
		},
		"half a retry": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRetryAttempts: jsii.Number(0.5)},
			"MaximumRetryAttempts must be a whole number from 0 to 10000, got 0.5",
		},
		"a record age of a day": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRecordAge: awscdk.Duration_Hours(jsii.Number(24))},
			"MaximumRecordAge must be whole seconds from 1m0s to 23h59m59s, got 1 day",
		},
		"a record age of seconds": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRecordAge: awscdk.Duration_Seconds(jsii.Number(59))},
			"MaximumRecordAge must be whole seconds from 1m0s to 23h59m59s, got 59s",
		},
		"a long batching window": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumBatchingWindow: awscdk.Duration_Seconds(jsii.Number(301))},
			"MaximumBatchingWindow must be whole seconds from 0s to 5m0s, got 5m1s",
		},
		"a batching window of milliseconds": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumBatchingWindow: awscdk.Duration_Millis(jsii.Number(100))},
			"MaximumBatchingWindow must be whole seconds from 0s to 5m0s, got 100ms",
		},
		"too much parallelism": {
			outbox.TransactionalOutboxProps{Source: orders, ParallelizationFactor: jsii.Number(11)},
			"ParallelizationFactor must be a whole number from 1 to 10, got 11",
		},
		"events no longer than the stream": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: days(1)},
			"EventRetention must be whole days from 2 to 3650, got 1 day",
		},
		"events for ever": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: days(3651)},
			"EventRetention must be whole days from 2 to 3650, got 3651 days",
		},
		"events for hours": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: awscdk.Duration_Hours(jsii.Number(49))},
			"EventRetention must be whole days from 2 to 3650, got 49h0m0s",
		},
		"an archive of hours": {
			outbox.TransactionalOutboxProps{Source: orders, ArchiveRetention: awscdk.Duration_Hours(jsii.Number(25))},
			"ArchiveRetention must be whole days from 0 to 3650, got 25h0m0s",
		},
		"an alarm at once": {
			outbox.TransactionalOutboxProps{Source: orders, Alarms: &outbox.AlarmProps{OldestMessageAge: awscdk.Duration_Seconds(jsii.Number(1))}},
			"Alarms.OldestMessageAge must be whole seconds from 1m0s to 14 days, got 1s",
		},
		"both tables and deletion protection": {
			outbox.TransactionalOutboxProps{Source: orders, Table: fit, InboxTable: inbox, DeletionProtection: jsii.Bool(true)},
			"DeletionProtection must not be set together with Table and InboxTable, whose own settings count",
		},
		"both tables and backups": {
			outbox.TransactionalOutboxProps{Source: orders, Table: fit, InboxTable: inbox, PointInTimeRecovery: jsii.Bool(false)},
			"PointInTimeRecovery must not be set together with Table and InboxTable, whose own settings count",
		},
		"a table without a stream": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("NoStream", "pk", "")},
			"Table must have a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES, got none",
		},
		"a table that streams keys": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("KeysOnly", "pk", awsdynamodb.StreamViewType_KEYS_ONLY)},
			"Table must have a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES, got KEYS_ONLY",
		},
		"a table with other keys": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("OtherKeys", "id", awsdynamodb.StreamViewType_NEW_IMAGE)},
			"Table must have the keys [pk sk], got [id sk]",
		},
		"a table imported without a stream": {
			outbox.TransactionalOutboxProps{Source: orders, Table: awsdynamodb.Table_FromTableName(stack, jsii.String("Imported"), jsii.String("outbox"))},
			"Table must be imported with its stream: give its TableStreamArn to Table_FromTableAttributes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() { outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &test.props) })
			if !strings.Contains(message, test.want) {
				t.Errorf("it says %q, want %q", message, test.want)
			}
		})
	}
	if stack.Node().TryFindChild(jsii.String("Outbox")) != nil {
		t.Error("a refused outbox was added all the same")
	}
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	stack := newStack(t)
	message := refused(t, func() {
		outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
			StartingPosition:     awslambda.StartingPosition_LATEST,
			MaximumRetryAttempts: jsii.Number(-1),
			EventRetention:       days(0),
		})
	})
	for _, want := range []string{`transactional outbox "Outbox": `, "Source is missing", "StartingPosition must be TRIM_HORIZON, got LATEST", "MaximumRetryAttempts must be a whole number from 0 to 10000, got -1", "EventRetention must be whole days from 2 to 3650, got 0s"} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want also %q", message, want)
		}
	}
	refused(t, func() { outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), nil) })
}

func TestConsumerRefusesAnIDThatIsTaken(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
	// The archive and the alarms could be added later, and would then not find their place.
	for _, id := range []string{"Shipping", "Table", "Archive", "PipeSilentAlarm"} {
		message := refused(t, func() { box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter()}) })
		if want := `consumer "` + id + `": the id must be free in Stack/Outbox, got one that is taken`; message != want {
			t.Errorf("it says %q, want %q", message, want)
		}
	}
}

// What is only known when the stack is deployed cannot be judged at synth and must not be refused.
func TestUnresolvedValuesAreNotRefused(t *testing.T) {
	stack := newStack(t)
	number := awscdk.Token_AsNumber(awscdk.Fn_Ref(jsii.String("AWS::AccountId")))
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			Source:                awscdk.Aws_STACK_NAME(),
			MaximumRetryAttempts:  number,
			ParallelizationFactor: number,
			MaximumRecordAge:      awscdk.Duration_Seconds(number),
			EventRetention:        awscdk.Duration_Seconds(number),
		})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction:      &golambda.FunctionProps{Entry: jsii.String(greet), ReservedConcurrentExecutions: number},
			EventTypes:      &[]*string{awscdk.Aws_STACK_NAME()},
			BatchSize:       number,
			MaxReceiveCount: number,
		})
	})
}

func newFunction(stack awscdk.Stack, id string, timeoutSeconds float64) awslambda.Function {
	return awslambda.NewFunction(stack, &id, &awslambda.FunctionProps{
		Runtime: awslambda.Runtime_PYTHON_3_13(),
		Handler: jsii.String("index.handler"),
		Code:    awslambda.Code_FromInline(jsii.String("def handler(event, context): return {}")),
		Timeout: awscdk.Duration_Seconds(&timeoutSeconds),
	})
}

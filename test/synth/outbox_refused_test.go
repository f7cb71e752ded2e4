package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

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
	fit := tableWith("Fit", "pk", awsdynamodb.StreamViewType_NEW_IMAGE)
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
			`Source is "" with 0 characters, allowed are 1 to 256`,
		},
		"a long source": {
			outbox.TransactionalOutboxProps{Source: jsii.String(strings.Repeat("é", 257))},
			`with 257 characters, allowed are 1 to 256`,
		},
		"a source of AWS": {
			outbox.TransactionalOutboxProps{Source: jsii.String("aws.orders")},
			`Source is "aws.orders", it must not begin with "aws.", which is reserved for AWS services`,
		},
		"LATEST": {
			outbox.TransactionalOutboxProps{Source: orders, StartingPosition: awslambda.StartingPosition_LATEST},
			"StartingPosition is LATEST, only TRIM_HORIZON is allowed",
		},
		"infinite retries": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRetryAttempts: jsii.Number(-1)},
			"MaximumRetryAttempts is -1, allowed is a whole number from 0 to 10000",
		},
		"half a retry": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRetryAttempts: jsii.Number(0.5)},
			"MaximumRetryAttempts is 0.5, allowed is a whole number from 0 to 10000",
		},
		"a record age of a day": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRecordAge: awscdk.Duration_Hours(jsii.Number(24))},
			"MaximumRecordAge is 24h0m0s, allowed are whole seconds from 1m0s to 23h59m59s",
		},
		"a record age of seconds": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumRecordAge: awscdk.Duration_Seconds(jsii.Number(59))},
			"MaximumRecordAge is 59s, allowed are whole seconds from 1m0s to 23h59m59s",
		},
		"a long batching window": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumBatchingWindow: awscdk.Duration_Seconds(jsii.Number(301))},
			"MaximumBatchingWindow is 5m1s, allowed are whole seconds from 0s to 5m0s",
		},
		"a batching window of milliseconds": {
			outbox.TransactionalOutboxProps{Source: orders, MaximumBatchingWindow: awscdk.Duration_Millis(jsii.Number(100))},
			"MaximumBatchingWindow is 100ms, allowed are whole seconds from 0s to 5m0s",
		},
		"too much parallelism": {
			outbox.TransactionalOutboxProps{Source: orders, ParallelizationFactor: jsii.Number(11)},
			"ParallelizationFactor is 11, allowed is a whole number from 1 to 10",
		},
		"events no longer than the stream": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: days(1)},
			"EventRetention is 24h0m0s, allowed are whole days from 2 to 3650",
		},
		"events for ever": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: days(3651)},
			"EventRetention is 87624h0m0s, allowed are whole days from 2 to 3650",
		},
		"events for hours": {
			outbox.TransactionalOutboxProps{Source: orders, EventRetention: awscdk.Duration_Hours(jsii.Number(49))},
			"EventRetention is 49h0m0s, allowed are whole days from 2 to 3650",
		},
		"an archive of hours": {
			outbox.TransactionalOutboxProps{Source: orders, ArchiveRetention: awscdk.Duration_Hours(jsii.Number(25))},
			"ArchiveRetention is 25h0m0s, allowed are whole days from 1 to 3650",
		},
		"an alarm at once": {
			outbox.TransactionalOutboxProps{Source: orders, Alarms: &outbox.AlarmProps{OldestMessageAge: awscdk.Duration_Seconds(jsii.Number(1))}},
			"Alarms.OldestMessageAge is 1s, allowed are whole seconds from 1m0s to 336h0m0s",
		},
		"table and deletion protection": {
			outbox.TransactionalOutboxProps{Source: orders, Table: fit, DeletionProtection: jsii.Bool(true)},
			"DeletionProtection is set together with Table, which brings its own: set one of them",
		},
		"table and backups": {
			outbox.TransactionalOutboxProps{Source: orders, Table: fit, PointInTimeRecovery: jsii.Bool(false)},
			"PointInTimeRecovery is set together with Table, which brings its own: set one of them",
		},
		"a table without a stream": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("NoStream", "pk", "")},
			"Table has no stream, allowed is one with a stream of NEW_IMAGE or NEW_AND_OLD_IMAGES",
		},
		"a table that streams keys": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("KeysOnly", "pk", awsdynamodb.StreamViewType_KEYS_ONLY)},
			"Table has a stream of KEYS_ONLY, allowed are NEW_IMAGE and NEW_AND_OLD_IMAGES",
		},
		"a table with other keys": {
			outbox.TransactionalOutboxProps{Source: orders, Table: tableWith("OtherKeys", "id", awsdynamodb.StreamViewType_NEW_IMAGE)},
			"Table has the keys [id sk], allowed are [pk sk]",
		},
		"a table imported without a stream": {
			outbox.TransactionalOutboxProps{Source: orders, Table: awsdynamodb.Table_FromTableName(stack, jsii.String("Imported"), jsii.String("outbox"))},
			"Table is imported without a stream: give its TableStreamArn to Table_FromTableAttributes",
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

func TestConsumerRefuses(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	entry := jsii.String(greet)
	importedQueue := awssqs.Queue_FromQueueArn(stack, jsii.String("ImportedQueue"), jsii.String("arn:aws:sqs:eu-west-1:111111111111:shipping"))
	importedFunction := awslambda.Function_FromFunctionName(stack, jsii.String("ImportedFunction"), jsii.String("shipping"))
	function := newFunction(stack, "Function", 10)
	deadLetters := &awssqs.DeadLetterQueue{Queue: awssqs.NewQueue(stack, jsii.String("DLQ"), nil), MaxReceiveCount: jsii.Number(5)}
	queueWith := func(id string, props awssqs.QueueProps) awssqs.IQueue { return awssqs.NewQueue(stack, &id, &props) }
	ownQueue := queueWith("Own", awssqs.QueueProps{DeadLetterQueue: deadLetters, VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))})
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"no function":         {outbox.ConsumerProps{}, "Function and Entry are missing, set one of them"},
		"function and entry":  {outbox.ConsumerProps{Function: function, Entry: entry}, "Entry is set together with Function, which brings its own: set one of them"},
		"function and memory": {outbox.ConsumerProps{Function: function, MemorySize: jsii.Number(128)}, "MemorySize is set together with Function"},
		"function and timeout": {
			outbox.ConsumerProps{Function: function, Timeout: awscdk.Duration_Seconds(jsii.Number(1))},
			"Timeout is set together with Function",
		},
		"little memory":     {outbox.ConsumerProps{Entry: entry, MemorySize: jsii.Number(64)}, "MemorySize is 64, allowed is a whole number from 128 to 10240"},
		"a long timeout":    {outbox.ConsumerProps{Entry: entry, Timeout: awscdk.Duration_Minutes(jsii.Number(16))}, "Timeout is 16m0s, allowed are whole seconds from 1s to 15m0s"},
		"no event types":    {outbox.ConsumerProps{Entry: entry, EventTypes: jsii.Strings()}, "EventTypes is empty, name at least one or leave it out"},
		"an empty type":     {outbox.ConsumerProps{Entry: entry, EventTypes: jsii.Strings("A", "")}, `EventTypes[1] is "" with 0 characters, allowed are 1 to 128`},
		"a long type":       {outbox.ConsumerProps{Entry: entry, EventTypes: jsii.Strings(strings.Repeat("x", 129))}, "with 129 characters, allowed are 1 to 128"},
		"no sources":        {outbox.ConsumerProps{Entry: entry, Sources: jsii.Strings()}, "Sources is empty"},
		"no aggregates":     {outbox.ConsumerProps{Entry: entry, AggregateTypes: jsii.Strings()}, "AggregateTypes is empty"},
		"a large batch":     {outbox.ConsumerProps{Entry: entry, BatchSize: jsii.Number(10001)}, "BatchSize is 10001, allowed is a whole number from 1 to 10000"},
		"a batch, no delay": {outbox.ConsumerProps{Entry: entry, BatchSize: jsii.Number(11)}, "BatchSize is 11 without a MaxBatchingWindow: more than 10 need a window of at least 1 second"},
		"one at a time":     {outbox.ConsumerProps{Entry: entry, MaxConcurrency: jsii.Number(1)}, "MaxConcurrency is 1, allowed is a whole number from 2 to 1000"},
		"aggregates twice": {
			outbox.ConsumerProps{Entry: entry, AggregateTypes: jsii.Strings("Order"), Detail: &map[string]any{"aggregateType": jsii.Strings("Order")}},
			"Detail has aggregateType, which AggregateTypes sets: use one of them",
		},
		"a large pattern": {
			outbox.ConsumerProps{Entry: entry, Detail: &map[string]any{"aggregateId": jsii.Strings(strings.Repeat("x", 2000))}},
			"characters, allowed are at most 2048",
		},
		"no pattern": {
			outbox.ConsumerProps{Entry: entry, Detail: &map[string]any{"aggregateId": func() {}}},
			"Detail is no pattern",
		},
		"fewer reserved than used": {
			outbox.ConsumerProps{Entry: entry, ReservedConcurrentExecutions: jsii.Number(9)},
			"ReservedConcurrentExecutions is 9, allowed is at least MaxConcurrency, which is 10",
		},
		"short visibility": {
			outbox.ConsumerProps{Entry: entry, VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(59))},
			"VisibilityTimeout is 59s, allowed are at least 1m0s: 6 times the function's timeout of 10s plus the MaxBatchingWindow of 0s",
		},
		"visibility without the window": {
			outbox.ConsumerProps{Entry: entry, VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(60)), MaxBatchingWindow: awscdk.Duration_Seconds(jsii.Number(1))},
			"VisibilityTimeout is 1m0s, allowed are at least 1m1s",
		},
		"long visibility": {
			outbox.ConsumerProps{Entry: entry, VisibilityTimeout: awscdk.Duration_Hours(jsii.Number(13))},
			"VisibilityTimeout is 13h0m0s, allowed are whole seconds from 0s to 12h0m0s",
		},
		"visibility of a function of unknown timeout": {
			outbox.ConsumerProps{Function: importedFunction},
			"VisibilityTimeout is missing: the function's timeout is not known here",
		},
		"retention shorter than the tries": {
			outbox.ConsumerProps{Entry: entry, RetentionPeriod: awscdk.Duration_Minutes(jsii.Number(5))},
			"RetentionPeriod is 5m0s, allowed is more than 5m0s, which is MaxReceiveCount 5 times the visibility timeout of 1m0s",
		},
		"retention that leaves nothing to the dead-letter queue": {
			outbox.ConsumerProps{Entry: entry, RetentionPeriod: awscdk.Duration_Days(jsii.Number(14))},
			"RetentionPeriod is 336h0m0s, allowed are whole seconds from 1m0s to 312h0m0s",
		},
		"no receive": {outbox.ConsumerProps{Entry: entry, MaxReceiveCount: jsii.Number(0)}, "MaxReceiveCount is 0, allowed is a whole number from 1 to 1000"},
		"queue and visibility": {
			outbox.ConsumerProps{Entry: entry, Queue: ownQueue, VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))},
			"VisibilityTimeout is set together with Queue, which brings its own: set one of them",
		},
		"queue and dead-letter queue": {
			outbox.ConsumerProps{Entry: entry, Queue: ownQueue, DeadLetterQueue: deadLetters.Queue},
			"DeadLetterQueue is set together with Queue, which brings its own: set one of them",
		},
		"a queue without a dead-letter queue": {
			outbox.ConsumerProps{Entry: entry, Queue: queueWith("NoDLQ", awssqs.QueueProps{VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))})},
			"Queue has no dead-letter queue: an event that cannot be handled would be tried until it is lost",
		},
		"a queue with SQS's own visibility": {
			outbox.ConsumerProps{Entry: entry, Queue: queueWith("Hasty", awssqs.QueueProps{DeadLetterQueue: deadLetters})},
			"the visibility timeout of Queue is 30s, allowed are at least 1m0s",
		},
		"a FIFO queue": {
			outbox.ConsumerProps{Entry: entry, Queue: queueWith("FIFO", awssqs.QueueProps{Fifo: jsii.Bool(true)})},
			"Queue is a FIFO queue, allowed is a standard queue",
		},
		"an imported queue alone": {
			outbox.ConsumerProps{Entry: entry, Queue: importedQueue},
			"DeadLetterQueue is missing: the redrive policy of the imported Queue is not known here, name the queue that it names",
		},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() { box.AddConsumer(jsii.String("Shipping"), &test.props) })
			if !strings.Contains(message, test.want) {
				t.Errorf("it says %q, want %q", message, test.want)
			}
		})
	}
	if box.Node().TryFindChild(jsii.String("Shipping")) != nil {
		t.Error("a refused consumer was added all the same")
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
	for _, want := range []string{`transactional outbox "Outbox": `, "Source is missing", "StartingPosition is LATEST", "MaximumRetryAttempts is -1", "EventRetention is 0s"} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want also %q", message, want)
		}
	}
	refused(t, func() { outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), nil) })
}

func TestConsumerRefusesAnIDThatIsTaken(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{Entry: jsii.String(greet)})
	// The archive could be added later, and would then not find its place.
	for _, id := range []string{"Shipping", "Table", "Archive"} {
		message := refused(t, func() { box.AddConsumer(&id, &outbox.ConsumerProps{Entry: jsii.String(greet)}) })
		if want := `consumer "` + id + `": the id is taken in Stack/Outbox, choose another one`; message != want {
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
			Entry:                        jsii.String(greet),
			EventTypes:                   &[]*string{awscdk.Aws_STACK_NAME()},
			BatchSize:                    number,
			MaxReceiveCount:              number,
			ReservedConcurrentExecutions: number,
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

package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func TestConsumerRefuses(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	entry := greeter()
	importedQueue := awssqs.Queue_FromQueueArn(stack, jsii.String("ImportedQueue"), jsii.String("arn:aws:sqs:eu-west-1:111111111111:shipping"))
	importedFunction := awslambda.Function_FromFunctionName(stack, jsii.String("ImportedFunction"), jsii.String("shipping"))
	function := newFunction(stack, "Function", 10)
	deadLetters := &awssqs.DeadLetterQueue{Queue: awssqs.NewQueue(stack, jsii.String("DLQ"), nil), MaxReceiveCount: jsii.Number(5)}
	queueWith := func(id string, props awssqs.QueueProps) awssqs.IQueue { return awssqs.NewQueue(stack, &id, &props) }
	ownQueue := queueWith("Own", awssqs.QueueProps{DeadLetterQueue: deadLetters, RetentionPeriod: days(3), VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))})
	longKept := queueWith("LongKept", awssqs.QueueProps{VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)), RetentionPeriod: days(5), DeadLetterQueue: deadLetters})
	tried := queueWith("Tried", awssqs.QueueProps{VisibilityTimeout: awscdk.Duration_Hours(jsii.Number(12)), RetentionPeriod: days(2), DeadLetterQueue: deadLetters})
	goFunction := func(p golambda.FunctionProps) outbox.ConsumerProps { return outbox.ConsumerProps{GoFunction: &p} }
	reserved := newFunction(stack, "Reserved", 10)
	reserved.Node().DefaultChild().(awslambda.CfnFunction).SetReservedConcurrentExecutions(jsii.Number(9))
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"no function":    {outbox.ConsumerProps{}, "Function or GoFunction must be set, got neither"},
		"two functions":  {outbox.ConsumerProps{Function: function, GoFunction: entry}, "GoFunction must not be set together with Function"},
		"little memory":  {goFunction(golambda.FunctionProps{Entry: entry.Entry, MemorySize: jsii.Number(64)}), "GoFunction.MemorySize must be a whole number from 128 to 10240, got 64"},
		"a long timeout": {goFunction(golambda.FunctionProps{Entry: entry.Entry, Timeout: awscdk.Duration_Minutes(jsii.Number(16))}), "GoFunction.Timeout must be whole seconds from 1s to 15m0s, got 16m0s"},
		"no entry":       {goFunction(golambda.FunctionProps{}), "GoFunction.Entry must be the folder of the function's main package, got none"},
		"our variable":   {goFunction(golambda.FunctionProps{Entry: entry.Entry, Environment: &map[string]*string{"INBOX_TABLE": jsii.String("x"), "OUTBOX_SOURCE": jsii.String("y")}}), "GoFunction.Environment must not set OUTBOX_SOURCE, which the outbox sets"},
		"not all reserved": {
			goFunction(golambda.FunctionProps{Entry: entry.Entry, ReservedConcurrentExecutions: jsii.Number(9)}),
			"GoFunction.ReservedConcurrentExecutions must be at least MaxConcurrency, which is 10, got 9",
		},
		"not all reserved of a supplied function": {
			outbox.ConsumerProps{Function: reserved},
			"the reserved concurrency of Function must be at least MaxConcurrency, which is 10, got 9",
		},
		"no event types":    {outbox.ConsumerProps{GoFunction: entry, EventTypes: jsii.Strings()}, "EventTypes must name at least one, got none"},
		"an empty type":     {outbox.ConsumerProps{GoFunction: entry, EventTypes: jsii.Strings("A", "")}, `EventTypes[1] must have 1 to 128 characters of UTF-8, got 0 in ""`},
		"a long type":       {outbox.ConsumerProps{GoFunction: entry, EventTypes: jsii.Strings(strings.Repeat("x", 129))}, "EventTypes[0] must have 1 to 128 characters of UTF-8, got 129 in"},
		"no sources":        {outbox.ConsumerProps{GoFunction: entry, Sources: jsii.Strings()}, "Sources must name at least one, got none"},
		"no aggregates":     {outbox.ConsumerProps{GoFunction: entry, AggregateTypes: jsii.Strings()}, "AggregateTypes must name at least one, got none"},
		"a large batch":     {outbox.ConsumerProps{GoFunction: entry, BatchSize: jsii.Number(10001)}, "BatchSize must be a whole number from 1 to 10000, got 10001"},
		"a batch, no delay": {outbox.ConsumerProps{GoFunction: entry, BatchSize: jsii.Number(11)}, "MaxBatchingWindow must be at least 1 second with a BatchSize of more than 10, got 0s with 11"},
		"one at a time":     {outbox.ConsumerProps{GoFunction: entry, MaxConcurrency: jsii.Number(1)}, "MaxConcurrency must be a whole number from 2 to 1000, got 1"},
		"aggregates twice": {
			outbox.ConsumerProps{GoFunction: entry, AggregateTypes: jsii.Strings("Order"), Detail: &map[string]any{"aggregateType": jsii.Strings("Order")}},
			"Detail must not have aggregateType together with AggregateTypes, which sets it",
		},
		"a large pattern": {
			outbox.ConsumerProps{GoFunction: entry, Detail: &map[string]any{"aggregateId": jsii.Strings(strings.Repeat("x", 2000))}},
			"EventTypes, Sources, AggregateTypes and Detail must make a pattern of at most 2048 characters, got",
		},
		"no pattern": {
			outbox.ConsumerProps{GoFunction: entry, Detail: &map[string]any{"aggregateId": func() {}}},
			"Detail must be an event pattern: json: unsupported type: func()",
		},
		"short visibility": {
			outbox.ConsumerProps{GoFunction: entry, VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(59))},
			"VisibilityTimeout must be at least 1m0s, which is 6 times the function's timeout of 10s plus the MaxBatchingWindow of 0s, got 59s",
		},
		"visibility without the window": {
			outbox.ConsumerProps{GoFunction: entry, VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(60)), MaxBatchingWindow: awscdk.Duration_Seconds(jsii.Number(1))},
			"VisibilityTimeout must be at least 1m1s, which is 6 times the function's timeout of 10s plus the MaxBatchingWindow of 1s, got 1m0s",
		},
		"long visibility": {
			outbox.ConsumerProps{GoFunction: entry, VisibilityTimeout: awscdk.Duration_Hours(jsii.Number(13))},
			"VisibilityTimeout must be whole seconds from 0s to 12h0m0s, got 13h0m0s",
		},
		"visibility of a function of unknown timeout": {
			outbox.ConsumerProps{Function: importedFunction},
			"VisibilityTimeout is missing: the function's timeout is not known here",
		},
		"retention shorter than the tries": {
			outbox.ConsumerProps{GoFunction: entry, RetentionPeriod: awscdk.Duration_Minutes(jsii.Number(5))},
			"RetentionPeriod must be more than 5m0s, which is 5 tries times the visibility timeout of 1m0s, got 5m0s",
		},
		"retention that leaves nothing to the dead-letter queue": {
			outbox.ConsumerProps{GoFunction: entry, RetentionPeriod: awscdk.Duration_Days(jsii.Number(14))},
			"RetentionPeriod must be whole seconds from 1m0s to 13 days, got 14 days",
		},
		"no receive": {outbox.ConsumerProps{GoFunction: entry, MaxReceiveCount: jsii.Number(0)}, "MaxReceiveCount must be a whole number from 1 to 1000, got 0"},
		"queue and visibility": {
			outbox.ConsumerProps{GoFunction: entry, Queue: ownQueue, VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))},
			"VisibilityTimeout must not be set together with Queue, whose own settings count",
		},
		"queue and dead-letter queue": {
			outbox.ConsumerProps{GoFunction: entry, Queue: ownQueue, DeadLetterQueue: deadLetters.Queue},
			"DeadLetterQueue must not be set together with Queue, whose own settings count",
		},
		"a queue without a dead-letter queue": {
			outbox.ConsumerProps{GoFunction: entry, Queue: queueWith("NoDLQ", awssqs.QueueProps{VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))})},
			"Queue must have a dead-letter queue, got one without: an event that cannot be handled would be tried until it is lost",
		},
		"a queue with SQS's own visibility": {
			outbox.ConsumerProps{GoFunction: entry, Queue: queueWith("Hasty", awssqs.QueueProps{DeadLetterQueue: deadLetters})},
			"the visibility timeout of Queue must be at least 1m0s, which is 6 times the function's timeout of 10s plus the MaxBatchingWindow of 0s, got 30s",
		},
		"a queue with the key that AWS manages": {
			outbox.ConsumerProps{GoFunction: entry, Queue: queueWith("Managed", awssqs.QueueProps{Encryption: awssqs.QueueEncryption_KMS_MANAGED, DeadLetterQueue: deadLetters})},
			"Queue must be encrypted by SQS or with a key of your own, got one with alias/aws/sqs, which EventBridge cannot be allowed to use",
		},
		"a FIFO queue": {
			outbox.ConsumerProps{GoFunction: entry, Queue: queueWith("FIFO", awssqs.QueueProps{Fifo: jsii.Bool(true)})},
			"Queue must be a standard queue, got a FIFO queue",
		},
		"the visibility of a queue with a supplied function": {
			outbox.ConsumerProps{Function: newFunction(stack, "Slow", 11), Queue: ownQueue},
			"the visibility timeout of Queue must be at least 1m6s, which is 6 times the function's timeout of 11s plus the MaxBatchingWindow of 0s, got 1m0s",
		},
		"the visibility with a supplied function": {
			outbox.ConsumerProps{Function: newFunction(stack, "Slower", 12), VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))},
			"VisibilityTimeout must be at least 1m12s, which is 6 times the function's timeout of 12s plus the MaxBatchingWindow of 0s, got 1m0s",
		},
		"the visibility with an alias": {
			outbox.ConsumerProps{Function: aliasOf(newFunction(stack, "Slowest", 13), "live"), VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1))},
			"VisibilityTimeout must be at least 1m18s, which is 6 times the function's timeout of 13s plus the MaxBatchingWindow of 0s, got 1m0s",
		},
		"the visibility of an imported queue": {
			outbox.ConsumerProps{GoFunction: entry, Queue: importedQueue, DeadLetterQueue: deadLetters.Queue, VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(30))},
			"VisibilityTimeout must be at least 1m0s, which is 6 times the function's timeout of 10s plus the MaxBatchingWindow of 0s, got 30s",
		},
		"an imported queue of unknown visibility": {
			outbox.ConsumerProps{GoFunction: entry, Queue: importedQueue, DeadLetterQueue: deadLetters.Queue},
			"VisibilityTimeout is missing: that of the imported Queue is not known here, so it cannot be compared with the function's timeout",
		},
		"a supplied queue that keeps messages shorter than the tries take": {
			outbox.ConsumerProps{GoFunction: entry, Queue: tried},
			"the retention period of Queue must be more than 60h0m0s, which is 5 tries times the visibility timeout of 12h0m0s, got 2 days",
		},
		"a dead-letter queue that drops a message at once": {
			outbox.ConsumerProps{GoFunction: entry, DeadLetterQueue: deadLetters.Queue},
			"RetentionPeriod must be less than the 4 days for which the dead-letter queue keeps a message, whose age counts from when it was first sent, got 7 days",
		},
		"a dead-letter queue of a supplied queue that drops a message at once": {
			outbox.ConsumerProps{GoFunction: entry, Queue: longKept},
			"the retention period of Queue must be less than the 4 days",
		},
		"a FIFO dead-letter queue": {
			outbox.ConsumerProps{GoFunction: entry, DeadLetterQueue: queueWith("FIFODLQ", awssqs.QueueProps{Fifo: jsii.Bool(true), RetentionPeriod: days(14)})},
			"DeadLetterQueue must be a standard queue, got a FIFO queue",
		},
		"an imported queue alone": {
			outbox.ConsumerProps{GoFunction: entry, Queue: importedQueue},
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

// aliasOf is an alias of the function's current version, as a deployment that shifts traffic has it.
func aliasOf(function awslambda.Function, name string) awslambda.Alias {
	return awslambda.NewAlias(function, &name, &awslambda.AliasProps{AliasName: &name, Version: function.CurrentVersion()})
}

package synth

import (
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// synthesizeConsumer is the template of a stack with an outbox and one consumer with these properties.
// The consumer gets a function where the properties name none.
func synthesizeConsumer(t *testing.T, props outbox.ConsumerProps) template {
	t.Helper()
	stack := newStack(t)
	if props.Function == nil && props.GoFunction == nil {
		props.GoFunction = greeter()
	}
	guard(t, func() { newOutbox(stack).AddConsumer(jsii.String("Shipping"), &props) })
	return synthesize(t, stack)
}

func TestConsumerRule(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{})
	rule := tpl.part(t, "Outbox/Shipping/Rule")
	same(t, "properties", tpl.readable(rule.Properties), `{
		"EventBusName": "${Outbox/EventBus}",
		"EventPattern": {"source": ["orders"]},
		"Targets": [{
			"Id": "Queue",
			"Arn": "${Outbox/Shipping/Queue.Arn}",
			"RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
			"DeadLetterConfig": {"Arn": "${Outbox/RuleDeadLetterQueue.Arn}"}
		}]
	}`)
}

func TestConsumerPattern(t *testing.T) {
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"event types": {
			outbox.ConsumerProps{EventTypes: jsii.Strings("OrderCreated", "OrderUpdated")},
			`{"source": ["orders"], "detail-type": ["OrderCreated", "OrderUpdated"]}`,
		},
		"another source": {
			outbox.ConsumerProps{Sources: jsii.Strings("payments")},
			`{"source": ["payments"]}`,
		},
		"aggregate types": {
			outbox.ConsumerProps{AggregateTypes: jsii.Strings("Order")},
			`{"source": ["orders"], "detail": {"aggregateType": ["Order"]}}`,
		},
		"detail": {
			outbox.ConsumerProps{Detail: &map[string]any{"aggregateId": []any{map[string]any{"prefix": "eu-"}}}},
			`{"source": ["orders"], "detail": {"aggregateId": [{"prefix": "eu-"}]}}`,
		},
		"detail and aggregate types": {
			outbox.ConsumerProps{Detail: &map[string]any{"version": jsii.Strings("1")}, AggregateTypes: jsii.Strings("Order")},
			`{"source": ["orders"], "detail": {"aggregateType": ["Order"], "version": ["1"]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tpl := synthesizeConsumer(t, test.props)
			same(t, "pattern", tpl.part(t, "Outbox/Shipping/Rule").Properties["EventPattern"], test.want)
		})
	}
}

// Without these policies EventBridge would deliver nothing and lose what it could not deliver, and it
// would do so from the moment the rule exists.
func TestConsumerLetsTheRulesOfItsBusInBeforeTheRuleExists(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		for _, id := range []string{"Billing", "Shipping"} {
			box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter()})
		}
	})
	tpl := synthesize(t, stack)
	for _, queue := range []string{"Outbox/Shipping/Queue", "Outbox/Billing/Queue", "Outbox/RuleDeadLetterQueue"} {
		same(t, "policy of "+queue, tpl.statements(tpl.part(t, queue+"/Policy").Properties["PolicyDocument"]), `[
			{"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sqs:*", "Resource": "${`+queue+`.Arn}", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
			{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "${`+queue+`.Arn}",
			 "Condition": {"ArnLike": {"aws:SourceArn": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${Outbox/EventBus}/*"}}}
		]`)
	}
	list(t, "dependencies of the rule", tpl.dependencies(tpl.part(t, "Outbox/Shipping/Rule")), "Outbox/RuleDeadLetterQueue/Policy", "Outbox/Shipping/Queue/Policy")
}

func TestConsumerQueue(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{})
	same(t, "queue", tpl.readable(tpl.part(t, "Outbox/Shipping/Queue").Properties), `{
		"VisibilityTimeout": 60, "MessageRetentionPeriod": 604800, "SqsManagedSseEnabled": true,
		"RedrivePolicy": {"deadLetterTargetArn": "${Outbox/Shipping/DeadLetterQueue.Arn}", "maxReceiveCount": 5}
	}`)
	same(t, "dead-letter queue", tpl.readable(tpl.part(t, "Outbox/Shipping/DeadLetterQueue").Properties), `{
		"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true
	}`)
}

func TestConsumerQueueOverrides(t *testing.T) {
	for name, test := range map[string]struct {
		props outbox.ConsumerProps
		want  string
	}{
		"visibility follows the timeout": {
			outbox.ConsumerProps{GoFunction: &golambda.FunctionProps{Entry: jsii.String(greet), Timeout: awscdk.Duration_Seconds(jsii.Number(30))}},
			`{"VisibilityTimeout": 180, "MessageRetentionPeriod": 604800, "maxReceiveCount": 5}`,
		},
		"visibility follows the batching window": {
			outbox.ConsumerProps{MaxBatchingWindow: awscdk.Duration_Seconds(jsii.Number(5))},
			`{"VisibilityTimeout": 65, "MessageRetentionPeriod": 604800, "maxReceiveCount": 5}`,
		},
		"all": {
			outbox.ConsumerProps{
				VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(10)),
				RetentionPeriod:   awscdk.Duration_Days(jsii.Number(13)),
				MaxReceiveCount:   jsii.Number(10),
			},
			`{"VisibilityTimeout": 600, "MessageRetentionPeriod": 1123200, "maxReceiveCount": 10}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := synthesizeConsumer(t, test.props).part(t, "Outbox/Shipping/Queue").Properties
			same(t, "queue", map[string]any{
				"VisibilityTimeout":      got["VisibilityTimeout"],
				"MessageRetentionPeriod": got["MessageRetentionPeriod"],
				"maxReceiveCount":        got["RedrivePolicy"].(map[string]any)["maxReceiveCount"],
			}, test.want)
		})
	}
}

func TestConsumerMapping(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{})
	mapping := tpl.part(t, "Outbox/Shipping/Mapping")
	same(t, "properties", tpl.readable(mapping.Properties), `{
		"EventSourceArn": "${Outbox/Shipping/Queue.Arn}", "FunctionName": "${Outbox/Shipping/Function}",
		"BatchSize": 10, "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 10}
	}`)
	// Lambda refuses a mapping whose function may not receive yet.
	list(t, "dependencies", tpl.dependencies(mapping), "Outbox/Shipping/Function/Role/DefaultPolicy")
}

func TestConsumerMappingOverrides(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{
		BatchSize:         jsii.Number(100),
		MaxBatchingWindow: awscdk.Duration_Seconds(jsii.Number(2)),
		MaxConcurrency:    jsii.Number(50),
	})
	mapping := tpl.part(t, "Outbox/Shipping/Mapping").Properties
	same(t, "batch size", mapping["BatchSize"], `100`)
	same(t, "batching window", mapping["MaximumBatchingWindowInSeconds"], `2`)
	same(t, "concurrency", mapping["ScalingConfig"], `{"MaximumConcurrency": 50}`)
}

func TestConsumerFunctionMayDoNothingElse(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{Inbox: outbox.Inbox_NONE})
	same(t, "policy", tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "${Outbox/Shipping/Function/LogGroup.Arn}"},
		{"Effect": "Allow", "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "Resource": "*"},
		{"Effect": "Allow", "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], "Resource": "${Outbox/Shipping/Queue.Arn}"}
	]`)
	same(t, "role", tpl.readable(tpl.part(t, "Outbox/Shipping/Function/Role").Properties), `{
		"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
	}`)
}

func TestConsumerFunctionOverrides(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			LogRetention:  awslogs.RetentionDays_ONE_WEEK,
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			Inbox: outbox.Inbox_NONE,
			GoFunction: &golambda.FunctionProps{
				Entry:                        jsii.String(greet),
				Architecture:                 awslambda.Architecture_X86_64(),
				MemorySize:                   jsii.Number(256),
				Timeout:                      awscdk.Duration_Seconds(jsii.Number(20)),
				Environment:                  &map[string]*string{"CARRIER": jsii.String("post")},
				ReservedConcurrentExecutions: jsii.Number(10),
				Description:                  jsii.String("Ships orders."),
			},
		})
	})
	tpl := synthesize(t, stack)
	function := tpl.part(t, "Outbox/Shipping/Function").Properties
	for _, generated := range []string{"Code", "Role", "LoggingConfig"} {
		delete(function, generated)
	}
	same(t, "function", function, `{
		"Architectures": ["x86_64"], "MemorySize": 256, "Timeout": 20, "ReservedConcurrentExecutions": 10, "Description": "Ships orders.",
		"Environment": {"Variables": {"CARRIER": "post"}}, "Handler": "bootstrap", "Runtime": "provided.al2023", "TracingConfig": {"Mode": "Active"}
	}`)
	logGroup := tpl.part(t, "Outbox/Shipping/Function/LogGroup")
	same(t, "log retention", logGroup.Properties["RetentionInDays"], `7`)
	same(t, "deletion policy of the log group", logGroup.DeletionPolicy, `"Delete"`)
}

func TestConsumerParts(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		consumer := newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
		for path, part := range map[string]constructs.IConstruct{
			"Stack/Outbox/Shipping":                  consumer,
			"Stack/Outbox/Shipping/Rule":             consumer.Rule(),
			"Stack/Outbox/Shipping/Queue":            consumer.Queue(),
			"Stack/Outbox/Shipping/DeadLetterQueue":  consumer.DeadLetterQueue(),
			"Stack/Outbox/Shipping/Function/Default": consumer.Function(),
			"Stack/Outbox/Shipping/Mapping":          consumer.EventSourceMapping(),
		} {
			same(t, "path", part.Node().Path(), `"`+path+`"`)
		}
	})
}

// The caller's properties stay as they are, so that one value can serve several consumers.
func TestPropertiesAreNotChanged(t *testing.T) {
	stack := newStack(t)
	props := outbox.ConsumerProps{GoFunction: greeter()}
	alarms := outbox.AlarmProps{}
	boxProps := outbox.TransactionalOutboxProps{Source: jsii.String("orders"), Alarms: &alarms}
	guard(t, func() {
		box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &boxProps)
		box.AddConsumer(jsii.String("One"), &props)
		box.AddConsumer(jsii.String("Two"), &props)
	})
	if boxProps != (outbox.TransactionalOutboxProps{Source: boxProps.Source, Alarms: &alarms}) || alarms != (outbox.AlarmProps{}) {
		t.Errorf("the outbox's properties were changed to %+v", boxProps)
	}
	if props != (outbox.ConsumerProps{GoFunction: props.GoFunction}) {
		t.Errorf("the consumer's properties were changed to %+v", props)
	}
}

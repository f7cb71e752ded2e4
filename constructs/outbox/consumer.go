package outbox

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// Ids of the constructs inside a consumer. They are part of the contract, as those of the outbox are.
const (
	ruleID            = "Rule"
	queueID           = "Queue"
	deadLetterQueueID = "DeadLetterQueue"
	functionID        = "Function"
	mappingID         = "Mapping"
)

// How long EventBridge tries to deliver an event to a consumer's queue before it goes to the rule's
// dead-letter queue: as long as it can. Source: EventBridge user guide, eb-rule-retry-policy.
const (
	ruleMaxAgeSeconds = 24 * 60 * 60
	ruleMaxRetries    = 185
)

// A Consumer is a rule on the bus, a queue with its dead-letter queue, and the function that handles
// what is in the queue.
type Consumer struct {
	constructs.Construct

	flow            *flow
	rule            awsevents.CfnRule
	queue           awssqs.IQueue
	deadLetterQueue awssqs.IQueue
	function        awslambda.IFunction
	mapping         awslambda.EventSourceMapping
	description     awsssm.CfnParameter
}

// AddConsumer adds a consumer under the outbox. It panics, before anything is added, with all that is wrong
// with the properties.
//
// To add a consumer in another stack, import the outbox there with [TransactionalOutbox_FromAttributes].
func (f *flow) AddConsumer(id *string, props *ConsumerProps) *Consumer {
	if props == nil {
		props = &ConsumerProps{}
	}
	config := props.withDefaults(f, f.place.child(id))
	var found problems
	if found.id(id) && (slices.Contains(ownIDs, *id) || f.scope.Node().TryFindChild(id) != nil) {
		found.add("the id must be free in %s, got one that is taken", f.place.path())
	}
	config.check(&found)
	found.refuse("consumer", id)

	c := &Consumer{flow: f}
	constructs.NewConstruct_Override(c, f.scope, id)
	c.queue, c.deadLetterQueue = c.queues(config)
	c.rule = c.newRule(config)
	c.function = c.newOrGivenFunction(config)
	if config.Inbox == Inbox_TABLE {
		c.useInbox(config)
	}
	c.mapping = c.newMapping(config)
	c.addAlarms()
	c.describe(config)
	c.beAudited(config)
	c.show(config)
	return c
}

// Rule returns the rule that decides which events the consumer gets.
func (c *Consumer) Rule() awsevents.CfnRule { return c.rule }

// Queue returns the queue that holds the events until the function has handled them.
func (c *Consumer) Queue() awssqs.IQueue { return c.queue }

// DeadLetterQueue returns the queue for the events that the function could not handle.
func (c *Consumer) DeadLetterQueue() awssqs.IQueue { return c.deadLetterQueue }

// Function returns the function that handles the events.
func (c *Consumer) Function() awslambda.IFunction { return c.function }

// EventSourceMapping returns what gives the queue's messages to the function.
func (c *Consumer) EventSourceMapping() awslambda.EventSourceMapping { return c.mapping }

// queues returns the consumer's queue and its dead-letter queue, supplied or new.
func (c *Consumer) queues(config *consumerConfig) (queue, deadLetterQueue awssqs.IQueue) {
	if deadLetterQueue = config.deadLetters; deadLetterQueue == nil {
		deadLetterQueue = c.flow.newDeadLetterQueue(c, deadLetterQueueID)
	} else {
		config.at.registerQueue(deadLetterQueue, deadLetterQueueID+" of "+config.at.path())
	}
	if queue = config.Queue; queue == nil {
		queue = newQueue(c, queueID, c.flow.encryptionKey, awssqs.QueueProps{
			VisibilityTimeout: config.visibility.duration,
			RetentionPeriod:   config.retention.duration,
			DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: deadLetterQueue, MaxReceiveCount: config.receives},
		})
	} else if key := queue.EncryptionMasterKey(); key != nil {
		keypolicy.AllowEvents(c, key)
	}
	config.at.registerQueue(queue, queueID+" of "+config.at.path())
	return queue, deadLetterQueue
}

// newRule sends the events that match to the consumer's queue.
func (c *Consumer) newRule(config *consumerConfig) awsevents.CfnRule {
	f := c.flow
	if f.ruleDeadLetterQueue == nil {
		f.ruleDeadLetterQueue = f.newDeadLetterQueue(f.scope, ruleDeadLetterQueueID)
	}
	rule := f.newRule(c, ruleID, config.pattern(), c.queue)
	f.createBeforePipe(rule)
	return rule
}

// newRule sends the events on the bus that match the pattern to the queue.
//
// CfnRule, because the package of CDK's ready-made targets pulls in a hundred others.
func (f *flow) newRule(scope constructs.Construct, id string, pattern map[string]any, queue awssqs.IQueue) awsevents.CfnRule {
	rule := awsevents.NewCfnRule(scope, &id, &awsevents.CfnRuleProps{
		EventBusName: f.eventBus.EventBusName(),
		EventPattern: pattern,
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:  jsii.String(queueID),
			Arn: queue.QueueArn(),
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(ruleMaxAgeSeconds),
				MaximumRetryAttempts:     jsii.Number(ruleMaxRetries),
			},
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: f.ruleDeadLetterQueue.QueueArn()},
		}},
	})
	for _, queue := range []awssqs.IQueue{queue, f.ruleDeadLetterQueue} {
		if permission := f.letSend(queue, f.ruleARNs()); permission != nil {
			rule.Node().AddDependency(permission)
		}
	}
	return rule
}

// newOrGivenFunction returns the function that handles the messages, supplied or new.
func (c *Consumer) newOrGivenFunction(config *consumerConfig) awslambda.IFunction {
	if config.Function != nil {
		return config.Function
	}
	return golambda.NewFunction(c, jsii.String(functionID), config.GoFunction)
}

// newMapping gives messages to the function in batches of which each message can fail alone.
func (c *Consumer) newMapping(config *consumerConfig) awslambda.EventSourceMapping {
	grant := c.grantConsume()
	mapping := awslambda.NewEventSourceMapping(c, jsii.String(mappingID), &awslambda.EventSourceMappingProps{
		Target:                  c.function,
		EventSourceArn:          c.queue.QueueArn(),
		BatchSize:               config.BatchSize,
		MaxBatchingWindow:       config.MaxBatchingWindow,
		MaxConcurrency:          config.MaxConcurrency,
		ReportBatchItemFailures: jsii.Bool(true),
	})
	grant.ApplyBefore(mapping)
	c.flow.createBeforePipe(mapping)
	return mapping
}

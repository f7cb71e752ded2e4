package outbox

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
	"github.com/outboxkit/transactional-outbox/runtime/record"
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

// Consumer is a rule on the bus, a queue with its dead-letter queue, and the function that handles
// what is in the queue.
type Consumer struct {
	constructs.Construct

	flow            *flow
	rule            awsevents.CfnRule
	queue           awssqs.IQueue
	deadLetterQueue awssqs.IQueue
	function        awslambda.IFunction
	mapping         awslambda.EventSourceMapping
}

// AddConsumer adds a consumer under the outbox. What is wrong with the properties is told in one panic,
// before anything is added.
//
// To add a consumer in another stack, import the outbox there with TransactionalOutbox_FromAttributes.
func (f *flow) AddConsumer(id *string, props *ConsumerProps) *Consumer {
	if props == nil {
		props = &ConsumerProps{}
	}
	found := props.check(f)
	f.checkID(found, id)
	found.refuse("consumer", id)
	p := props.withDefaults(f)

	c := &Consumer{flow: f}
	constructs.NewConstruct_Override(c, f.scope, id)
	c.queue, c.deadLetterQueue = c.queues(p)
	c.rule = c.newRule(p)
	c.function = c.functionOf(p)
	if p.Inbox == Inbox_TABLE {
		c.useInbox(p)
	}
	c.mapping = c.newMapping(p)
	c.addAlarms()
	return c
}

func (f *flow) checkID(found *problems, id *string) {
	if slices.Contains(ownIDs, *id) || f.scope.Node().TryFindChild(id) != nil {
		found.add("the id is taken in %s, choose another one", *f.scope.Node().Path())
	}
	if strings.Contains(*id, "#") {
		found.add("the id contains '#', which runtime/inbox keeps for itself")
	}
}

// Rule decides which events the consumer gets.
func (c *Consumer) Rule() awsevents.CfnRule { return c.rule }

// Queue holds the events until the function has handled them.
func (c *Consumer) Queue() awssqs.IQueue { return c.queue }

// DeadLetterQueue takes the events that the function could not handle.
func (c *Consumer) DeadLetterQueue() awssqs.IQueue { return c.deadLetterQueue }

// Function handles the events.
func (c *Consumer) Function() awslambda.IFunction { return c.function }

// EventSourceMapping gives the queue's messages to the function.
func (c *Consumer) EventSourceMapping() awslambda.EventSourceMapping { return c.mapping }

// queues are the consumer's queue and its dead-letter queue, supplied or new.
func (c *Consumer) queues(p ConsumerProps) (queue, deadLetterQueue awssqs.IQueue) {
	if p.Queue != nil {
		if p.DeadLetterQueue != nil {
			return p.Queue, p.DeadLetterQueue
		}
		return p.Queue, p.Queue.(awssqs.Queue).DeadLetterQueue().Queue
	}
	deadLetterQueue = p.DeadLetterQueue
	if deadLetterQueue == nil {
		deadLetterQueue = c.flow.newDeadLetterQueue(c, deadLetterQueueID)
	}
	return newQueue(c, queueID, c.flow.encryptionKey, awssqs.QueueProps{
		VisibilityTimeout: p.VisibilityTimeout,
		RetentionPeriod:   p.RetentionPeriod,
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: deadLetterQueue, MaxReceiveCount: p.MaxReceiveCount},
	}), deadLetterQueue
}

// newRule sends the events that match to the queue.
//
// CfnRule, because the package of CDK's ready-made targets pulls in a hundred others.
func (c *Consumer) newRule(p ConsumerProps) awsevents.CfnRule {
	f := c.flow
	if f.ruleDeadLetterQueue == nil {
		f.ruleDeadLetterQueue = f.newDeadLetterQueue(f.scope, ruleDeadLetterQueueID)
	}
	rule := awsevents.NewCfnRule(c, jsii.String(ruleID), &awsevents.CfnRuleProps{
		EventBusName: f.eventBus.EventBusName(),
		EventPattern: p.pattern(),
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:  jsii.String(queueID),
			Arn: c.queue.QueueArn(),
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(ruleMaxAgeSeconds),
				MaximumRetryAttempts:     jsii.Number(ruleMaxRetries),
			},
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: f.ruleDeadLetterQueue.QueueArn()},
		}},
	})
	for _, queue := range []awssqs.IQueue{c.queue, f.ruleDeadLetterQueue} {
		if permission := f.letSend(queue, f.ruleARNs()); permission != nil {
			rule.Node().AddDependency(permission)
		}
	}
	f.createBeforePipe(rule)
	return rule
}

// pattern is the event pattern of the consumer's rule.
func (p ConsumerProps) pattern() map[string]any {
	pattern := map[string]any{"source": p.Sources}
	if p.EventTypes != nil {
		pattern["detail-type"] = p.EventTypes
	}
	detail := map[string]any{}
	if p.Detail != nil {
		for field, matcher := range *p.Detail {
			detail[field] = matcher
		}
	}
	if p.AggregateTypes != nil {
		detail[record.AttrAggregateType] = p.AggregateTypes
	}
	if len(detail) > 0 {
		pattern["detail"] = detail
	}
	return pattern
}

// patternSize wants a pattern that EventBridge takes.
func (f *problems) patternSize(pattern map[string]any) {
	text, err := json.Marshal(pattern)
	if err != nil {
		f.add("Detail is no pattern: %w", err)
		return
	}
	if len(text) > maxPattern {
		f.add("EventTypes, Sources, AggregateTypes and Detail make a pattern of %d characters, allowed are at most %d", len(text), maxPattern)
	}
}

func (c *Consumer) functionOf(p ConsumerProps) awslambda.IFunction {
	if p.Function != nil {
		return p.Function
	}
	return golambda.NewFunction(c, jsii.String(functionID), &golambda.FunctionProps{
		Entry:                        p.Entry,
		Architecture:                 p.Architecture,
		MemorySize:                   p.MemorySize,
		Timeout:                      p.Timeout,
		Environment:                  p.Environment,
		ReservedConcurrentExecutions: p.ReservedConcurrentExecutions,
		Description:                  p.Description,
		LogRetention:                 c.flow.logRetention,
		RemovalPolicy:                c.flow.removalPolicy,
		EncryptionKey:                c.flow.encryptionKey,
	})
}

// newMapping gives messages to the function in batches of which each message can fail alone.
func (c *Consumer) newMapping(p ConsumerProps) awslambda.EventSourceMapping {
	grant := c.grantConsume()
	mapping := awslambda.NewEventSourceMapping(c, jsii.String(mappingID), &awslambda.EventSourceMappingProps{
		Target:                  c.function,
		EventSourceArn:          c.queue.QueueArn(),
		BatchSize:               p.BatchSize,
		MaxBatchingWindow:       p.MaxBatchingWindow,
		MaxConcurrency:          p.MaxConcurrency,
		ReportBatchItemFailures: jsii.Bool(true),
	})
	grant.ApplyBefore(mapping)
	c.flow.createBeforePipe(mapping)
	return mapping
}

package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/jsii-runtime-go"
)

// MetricPipeEvents returns how many stream records the pipe has taken up. Default: sum over 5 minutes.
// Source of the pipe's metrics: EventBridge user guide, eb-pipes-monitoring.
func (o *TransactionalOutbox) MetricPipeEvents(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.pipeMetric("EventCount", options)
}

// MetricPipeFailed returns how many executions of the pipe failed. Default: sum over 5 minutes.
func (o *TransactionalOutbox) MetricPipeFailed(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.pipeMetric("ExecutionFailed", options)
}

// MetricPipePartiallyFailed returns how many executions of the pipe delivered only a part of their batch.
// Default: sum over 5 minutes.
func (o *TransactionalOutbox) MetricPipePartiallyFailed(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.pipeMetric("ExecutionPartiallyFailed", options)
}

// MetricPipeThrottled returns how many executions of the pipe were throttled. Default: sum over 5 minutes.
func (o *TransactionalOutbox) MetricPipeThrottled(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.pipeMetric("ExecutionThrottled", options)
}

// MetricPipeDeadLetters returns how many messages wait in the pipe's dead-letter queue. Default: maximum over 5 minutes.
func (o *TransactionalOutbox) MetricPipeDeadLetters(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.pipeDeadLetterQueue.MetricApproximateNumberOfMessagesVisible(options)
}

// MetricRuleDeadLetters returns how many messages wait in the rules' dead-letter queue. Default: maximum over 5 minutes.
func (o *TransactionalOutbox) MetricRuleDeadLetters(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return o.ruleDeadLetterQueue.MetricApproximateNumberOfMessagesVisible(options)
}

func (o *TransactionalOutbox) pipeMetric(name string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return sumMetric("AWS/EventBridge/Pipes", name, map[string]*string{"PipeName": o.pipe.Ref()}, options)
}

// MetricDeliveryFailed returns how many events the rule could not deliver to the queue and gave up on.
// Default: sum over 5 minutes. Source of the rule's metrics: EventBridge user guide, eb-monitoring.
func (c *Consumer) MetricDeliveryFailed(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.ruleMetric("FailedInvocations", options)
}

// MetricDeliveryLost returns how many events the rule could neither deliver nor put into its dead-letter
// queue. Default: sum over 5 minutes.
func (c *Consumer) MetricDeliveryLost(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.ruleMetric("InvocationsFailedToBeSentToDlq", options)
}

// MetricOldestMessageAge returns how many seconds the oldest message has been in the queue. Default: maximum
// over 5 minutes.
func (c *Consumer) MetricOldestMessageAge(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.queue.MetricApproximateAgeOfOldestMessage(options)
}

// MetricDeadLetters returns how many messages wait in the dead-letter queue. Default: maximum over 5 minutes.
func (c *Consumer) MetricDeadLetters(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.deadLetterQueue.MetricApproximateNumberOfMessagesVisible(options)
}

// MetricErrors returns how many invocations of the function failed as a whole. Default: sum over 5 minutes.
func (c *Consumer) MetricErrors(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.function.MetricErrors(options)
}

// MetricThrottles returns how many invocations of the function were throttled. Default: sum over 5 minutes.
func (c *Consumer) MetricThrottles(options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return c.function.MetricThrottles(options)
}

func (c *Consumer) ruleMetric(name string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	dimensions := map[string]*string{"RuleName": c.ruleName()}
	if bus := c.flow.eventBus.EventBusName(); *bus != defaultBus {
		dimensions["EventBusName"] = bus
	}
	return sumMetric("AWS/Events", name, dimensions, options)
}

// ruleName returns the name of the consumer's rule.
func (c *Consumer) ruleName() *string { return c.flow.nameOf(c.rule) }

// nameOf returns the name of a rule on the bus. It takes it from the ARN, "…:rule/<bus>/<name>", or "…:rule/<name>" on the
// default bus: what Ref gives for a rule on another bus is not the name alone.
func (f *flow) nameOf(rule awsevents.CfnRule) *string {
	index := 2.0
	if *f.eventBus.EventBusName() == defaultBus {
		index = 1
	}
	return awscdk.Fn_Select(&index, awscdk.Fn_Split(jsii.String("/"), rule.AttrArn(), nil))
}

func sumMetric(namespace, name string, dimensions map[string]*string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return newMetric(namespace, name, "Sum", dimensions, options)
}

// ownMetric returns a metric that a function of the construct emits.
func ownMetric(name, statistic string, dimensions map[string]*string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return newMetric(ownNamespace, name, statistic, dimensions, options)
}

func newMetric(namespace, name, statistic string, dimensions map[string]*string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	metric := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     &namespace,
		MetricName:    &name,
		DimensionsMap: &dimensions,
		Statistic:     &statistic,
	})
	if options == nil {
		return metric
	}
	return metric.With(options)
}

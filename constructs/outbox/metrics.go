package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
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

// ruleMetric returns a metric of the consumer's rule. It takes the rule's name from its ARN, "…:rule/<bus>/<name>": what Ref gives for a rule on a
// bus other than the default one is not the name alone.
func (c *Consumer) ruleMetric(name string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	bus, index := c.flow.eventBus.EventBusName(), 2.0
	dimensions := map[string]*string{"EventBusName": bus}
	if *bus == defaultBus {
		delete(dimensions, "EventBusName")
		index = 1
	}
	dimensions["RuleName"] = awscdk.Fn_Select(&index, awscdk.Fn_Split(jsii.String("/"), c.rule.AttrArn(), nil))
	return sumMetric("AWS/Events", name, dimensions, options)
}

func sumMetric(namespace, name string, dimensions map[string]*string, options *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	metric := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     &namespace,
		MetricName:    &name,
		DimensionsMap: &dimensions,
		Statistic:     jsii.String("Sum"),
	})
	if options == nil {
		return metric
	}
	return metric.With(options)
}

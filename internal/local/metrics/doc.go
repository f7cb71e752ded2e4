// Package metrics stands in for CloudWatch: it keeps metrics in memory and evaluates alarms over them.
//
// It has the metrics that functions print in the embedded metric format, and of AWS's own those that say whether an outbox
// works:
//
//	AWS/SQS                  ApproximateNumberOfMessagesVisible, ApproximateNumberOfMessagesNotVisible, ApproximateAgeOfOldestMessage
//	AWS/EventBridge/Pipes    EventCount, ExecutionFailed, ExecutionThrottled
//	AWS/Events               Invocations, FailedInvocations, InvocationsSentToDlq, InvocationsFailedToBeSentToDlq
//	AWS/Lambda               Invocations, Errors, Throttles, Duration
//	AWS/SNS                  NumberOfNotificationsDelivered, NumberOfNotificationsFailed, NumberOfNotificationsRedrivenToDlq
//
// What differs from CloudWatch on purpose: data is there at once; it is kept for six hours of this run, in steps of ten
// seconds; statistics are Sum, Minimum, Maximum, Average and SampleCount. An alarm is evaluated every fifteen seconds and when
// somebody asks for it, over periods that end at that moment. It notifies topics, and nothing else. An alarm over an expression, a percentile or an anomaly
// detector stays in INSUFFICIENT_DATA, and its reason says so.
package metrics

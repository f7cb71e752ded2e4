// Package async knows what AWS Lambda does with an asynchronous invocation: how often and how long it tries, and where it
// sends what became of it.
//
// An invocation is tried again twice, after one and two minutes, and is at most six hours old; the function's
// AWS::Lambda::EventInvokeConfig sets less. Then Lambda sends a record of it to the destination of successes or failures, and
// the event itself to the function's dead-letter queue when it has failed. It sends with the function's role, and what it
// cannot send is lost.
//
// The package keeps no invocation: that is done by package eventbus, which has a journal, for its own targets and for those
// who call Invoke. Destinations other than standard SQS queues are refused.
//
// Sources: Lambda developer guide, invocation-async-error-handling and invocation-async-retain-records.
package async

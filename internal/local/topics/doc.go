// Package topics stands in for SNS: it accepts messages, matches them against the filter policies of the subscriptions, and
// delivers them to queues and functions.
//
// It guarantees that a message which Publish has acknowledged is, for each subscription that it matches, accepted by the
// queue or function, or by the subscription's dead-letter queue, or reported as dropped by a hop. After a restart, and also
// after kill -9, it continues the deliveries that were under way. A message may be delivered more than once; those of a
// group of a FIFO topic come in the order in which they were published.
//
// The path of a message:
//
//	Publish → journal (on disk, before the answer) → dispatcher → subscription, or after the last retry → dead-letter queue
//
// A delivery to a queue or function whose policy does not allow the topic fails as it does on AWS: permanently. A message for a
// function is delivered when Lambda's own queue of asynchronous invocations has it, see package async; what the function fails
// on is not in the subscription's dead-letter queue, as on AWS.
//
// What differs from SNS on purpose:
//
//   - Subscriptions of the protocols email, email-json and sms stay unconfirmed, as on AWS until a person confirms them:
//     nothing is sent to people. Other protocols than sqs and lambda are refused.
//   - Nothing is signed, and the URLs of a notification lead to the local run: a consumer that would fetch the certificate
//     does not ask AWS.
//   - The deduplication ids of a FIFO topic are forgotten at the end of the run.
//
// Not supported: archives and replays of FIFO topics, data protection policies, and changes by calls of the API, which is in
// package control. What callers may do is decided in front of this package, by package access; the policy of a topic is kept
// here.
package topics

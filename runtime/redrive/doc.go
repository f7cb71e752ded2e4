// Package redrive moves dead-letter messages back to where they were not delivered, once what kept them from it is fixed.
//
// SQS can move messages by itself only from the dead-letter queue of a queue, and only those that it put
// there (StartMessageMoveTask). An outbox has dead-letter messages of three kinds, and this package knows them all:
//
//	consumer   the message goes back to the consumer's queue
//	rule       the event goes to the queue that the rule could not reach, and to no other
//	pipe       the message holds no event but a place in the stream: the records are read back from there, or
//	           from the outbox table when the stream no longer has them, and put on the bus
//
// A message is deleted only after it was accepted where it belongs. So nothing is lost when a redrive is
// interrupted, and what was on its way may be delivered twice, which the inbox takes care of. A message that
// cannot be redriven stays where it is, and the [Report] says why.
//
//	r := redrive.New(redrive.Clients{SQS: queues, EventBridge: buses, Streams: streams, DynamoDB: db})
//	report, err := r.Consumer(ctx, deadLetterQueueURL, redrive.ConsumerTarget{Queue: queueURL, Memory: 58 * 24 * time.Hour})
//
// A redrive is complete when report.Done() is true. It needs sqs:ReceiveMessage, DeleteMessage,
// ChangeMessageVisibility and GetQueueAttributes on the dead-letter queue, sqs:SendMessage and GetQueueAttributes on the
// queue that the messages go to, and for a rule sqs:GetQueueUrl; for a pipe dynamodb:GetShardIterator and GetRecords on the
// stream, Scan on the outbox table and events:PutEvents on the bus.
//
// Source: SQS API reference, StartMessageMoveTask; EventBridge user guide, eb-rule-event-delivery and
// eb-pipes-error-troubleshooting.
package redrive

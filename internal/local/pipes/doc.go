// Package pipes runs AWS::Pipes::Pipe from a DynamoDB stream or an SQS queue to an event bus, a queue or a function, with
// the semantics that AWS documents for EventBridge Pipes. A function may enrich what a pipe sends.
//
// Of a stream it guarantees that every record that passes the filter is accepted by the target or named in a message of the
// pipe's dead-letter queue, at least once, and that records of one item are sent in their order. A shard's checkpoint
// is stored durably only after that, so a kill at any moment causes at most a duplicate. Records are dropped, as on
// AWS, only where a pipe has no dead-letter queue, and a hop reports it.
//
// Of a queue it guarantees that a message is deleted only after the target has accepted it or the filter has left it out.
// Every other message becomes visible again after the queue's visibility timeout, and the queue's redrive policy applies.
// Of a FIFO queue the messages of a group are sent in their order; a message that the target accepts is deleted though one
// before it in the batch has failed.
//
// A record that an enrichment returns nothing for counts as accepted. Functions are invoked over Lambda's API, as the
// pipe's role. Not supported: an API destination, an API or a workflow as enrichment.
//
// The local run uses [Service]. [Pipe] is the logic alone, behind the interfaces [Stream], [Target], [DeadLetter] and
// [Checkpoints], so that tests run it in virtual time with faults of their own.
//
// Package streams reads the stream and keeps the checkpoints, package messages receives from the queue, and package
// transform fills in templates. The files here, in the order in which a record meets them: pipe, delivery (one batch of a
// stream) or message (one of a queue), enrichment, input (what is sent of a record), bus, queue and function (targets),
// deadletter. source, filter and provision read the template, prepare checks that
// all of these are there, and control is what calls of the API change.
package pipes

// Package pipes runs AWS::Pipes::Pipe from a DynamoDB stream to an event bus or a queue, with the
// semantics that AWS documents for EventBridge Pipes.
//
// It guarantees that every record that passes the filter is accepted by the target or named in a message of the
// pipe's dead-letter queue, at least once, and that records of one item are sent in their order. A shard's checkpoint
// is stored durably only after that, so a kill at any moment causes at most a duplicate. Records are dropped, as on
// AWS, only where a pipe has no dead-letter queue, and a hop reports it.
//
// The local run uses [Service]. [Pipe] is the logic alone, behind the interfaces [Stream], [Target], [DeadLetter] and
// [Checkpoints], so that tests run it in virtual time with faults of their own.
//
// The files, in the order in which a record meets them: dynamodb (stream), reader, worker (one shard), delivery (one
// batch), bus and queue (targets), deadletter, checkpoints.
package pipes

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
// Package streams reads the stream and keeps the checkpoints. The files here, in the order in which a record meets them:
// pipe, delivery (one batch), input (what is sent of a record), bus and queue (targets), deadletter. prepare checks that
// all of these are there, and control is what calls of the API change.
package pipes

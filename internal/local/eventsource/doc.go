// Package eventsource runs the stack's event source mappings: it polls SQS queues and DynamoDB streams and invokes
// functions with the messages or records, by the rules of AWS Lambda.
//
// Queues: a message is deleted only after the function's response has reported success for it. After anything else (an
// error, a crash, a timeout, a response that cannot be read, the end of the run) the message becomes visible again
// after its visibility timeout, so a function sees a message at least once.
//
// FIFO queues: what the function does not report as failed is deleted, whatever failed before it in its group. As on AWS the
// order of a group is the function's business: it should stop at the first failure and report that message and all behind it.
// Source: Lambda developer guide, services-sqs-errorhandling, "Implementing partial batch responses", Note.
//
// Package messages receives from queues, package streams reads streams.
//
// Streams: the checkpoint of a shard passes a record only when the function has handled it, the filter does not let it
// through, or the on-failure destination has a message that names it. The checkpoint is stored durably, so a function
// sees a record at least once, also over a kill -9, and the records of one item in order. Without a destination, records
// that are given up are dropped, as on AWS, and a hop reports it. Not supported: tumbling windows and destinations other
// than SQS queues.
package eventsource

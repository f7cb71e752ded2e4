// Package messages receives the messages of SQS queues in batches, for event source mappings and pipes, and reads which
// messages of a batch a function has failed on.
//
// A message is deleted only when whoever handles the batch says so. Everything else becomes visible again after its
// visibility timeout, and goes to the queue's dead-letter queue when the queue's redrive policy says so.
//
// A [Poller] has up to Concurrency batches under way. One of its idle workers at a time waits in a long poll; when it
// receives something, the next one takes over. An idle poller therefore costs one open request, and no message is received
// while every worker is busy.
package messages

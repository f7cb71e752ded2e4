// Package queues runs the stack's SQS queues in fauxqs, an emulator of SQS on Node.js, and evaluates the stack's
// queue policies.
//
// It guarantees that a message is on disk, fsynced, before its send is acknowledged, that a request changes all or
// nothing, and that messages survive kill -9: those that were in flight become visible again when their visibility
// timeout is over. It listens on 127.0.0.1 only.
//
// Not stored over a restart: the deduplication ids of FIFO queues, which SQS remembers for five minutes. Not
// supported: message move tasks and deduplication per message group. Before it handles a call, it asks the URL in
// [Config.Permissions] whether the caller may make it; a caller with the developer's key may do everything. server.mjs lists what is fixed in fauxqs, and why.
package queues

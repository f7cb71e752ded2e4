// Package queues runs the stack's SQS queues in fauxqs, a stand-in for SQS on Node.js, and decides
// what the stack's queue policies allow.
//
// It guarantees that a message is on disk, fsynced, before its send is acknowledged, that whatever one
// request changes it changes as a whole, and that all of it survives kill -9: messages that were in
// flight come back when their visibility timeout is over. It listens on 127.0.0.1 only.
//
// Not kept over a restart: the five-minute memory of deduplication ids of FIFO queues. Not offered:
// message move tasks, deduplication per message group, and access control for callers that sign with
// an account's keys. server.mjs lists what is mended in fauxqs, and why.
package queues

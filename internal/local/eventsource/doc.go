// Package mappings runs the stack's event source mappings: it polls SQS queues and invokes functions with
// what it receives, by the rules of AWS Lambda.
//
// A message is deleted only after the function has answered that it is done with it. Everything else, an error,
// a crash, a timeout, an answer that cannot be read or the end of the run, leaves it to its visibility
// timeout, so a function sees a message at least once.
//
// A mapping has up to MaximumConcurrency invocations under way. One of its idle workers at a time waits in a long
// poll; when it receives something the next one takes over. An idle mapping therefore costs one open
// request, and messages are not taken from the queue while every worker is busy.
package eventsource

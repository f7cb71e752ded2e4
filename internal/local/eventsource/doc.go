// Package eventsource runs the stack's event source mappings: it polls SQS queues and invokes functions with
// the messages, by the rules of AWS Lambda.
//
// A message is deleted only after the function's response has reported success for it. After anything else (an
// error, a crash, a timeout, a response that cannot be read, the end of the run) the message becomes visible again
// after its visibility timeout, so a function sees a message at least once.
//
// An event source mapping has up to MaximumConcurrency invocations under way. One of its idle workers at a time
// waits in a long poll; when it receives something, the next one takes over. An idle event source mapping therefore
// costs one open request, and no message is received while every worker is busy.
package eventsource

// Package events runs the stack's event buses: it takes events over EventBridge's API, matches them against
// the rules and delivers them to the rules' targets, SQS queues.
//
// It guarantees that an event which PutEvents has acknowledged is, for each target of each rule it matched,
// either accepted by the target, or by the target's dead-letter queue, or reported as dropped by a
// hop; a restart, after kill -9 too, continues what was under way. An event may be delivered
// more than once, and in any order.
//
// The way of an event:
//
//	PutEvents → journal (on disk, before the answer) → dispatcher → target, or after the last retry → dead-letter queue
//
// A target or dead-letter queue whose queue policy does not let the rule in fails as it does on AWS: for good.
// Not offered: schedules, targets other than SQS queues, input transformers, archives (accepted, but
// they keep nothing), and access control for callers of PutEvents.
package eventbus

// Package eventbus runs the stack's event buses: it accepts events over EventBridge's API, matches them against
// the rules and delivers them to the rules' targets, which are SQS queues.
//
// It guarantees that an event which PutEvents has acknowledged is, for each target of each rule it matched,
// accepted by the target or by the target's dead-letter queue, or reported as dropped by a hop. After a restart,
// and also after kill -9, it continues the deliveries that were under way. An event may be delivered more than
// once, and in any order.
//
// The path of an event:
//
//	PutEvents → journal (on disk, before the answer) → dispatcher → target, or after the last retry → dead-letter queue
//
// A delivery to a target or dead-letter queue whose queue policy does not allow the rule fails as it does on AWS:
// permanently. Not supported: schedules, targets other than SQS queues, input transformers, archives (accepted,
// but they store nothing), and access control for callers of PutEvents.
package eventbus

// Package eventbus runs the stack's event buses: it accepts events over EventBridge's API, matches them against
// the rules and delivers them to the rules' targets, which are SQS queues, functions and other buses. It runs the schedules of
// rules and those of EventBridge Scheduler, and keeps and replays the events of archives.
//
// It guarantees that an event which PutEvents has acknowledged, or that a schedule has made, is, for each target of each
// rule it matched, accepted by the target or by the target's dead-letter queue, or reported as dropped by a hop; and that
// it is in each archive whose pattern it matches. After a restart, and also after kill -9, it continues the deliveries
// and replays that were under way. An event may be delivered more than once, and in any order.
//
// The path of an event:
//
//	PutEvents → journal (on disk, before the answer) → dispatcher → target, or after the last retry → dead-letter queue
//	schedule  ↗       ↘ archive → replay ↗
//
// A delivery to a target or dead-letter queue whose queue policy does not allow the rule fails as it does on AWS:
// permanently. An event for a bus that does not exist is accepted and lost, as on AWS, and a hop says so. A function
// gets an event at most three times, as from Lambda's own queue of asynchronous invocations, or as often and as late as its
// AWS::Lambda::EventInvokeConfig allows; what it fails on is not in the target's dead-letter queue, as on AWS, but where
// package async says. [Service.InvokeAsync] puts the invocations of callers that do not wait through the same journal.
//
// What calls of the API change on the template's rules and on the policies of buses stays over a restart, until the template
// changes; a rule that only a call has made exists until the end of the run, as does such an archive. Not supported: other targets.
//
// A schedule of EventBridge Scheduler is a target with a cadence: its invocation is a delivery as any other, which names the
// schedule in place of a rule. An event that a rule sends to another bus is stored there before it leaves the first one's
// journal, and does not go on to a third bus.
//
// [Config.Policies] decides which queues, functions and buses let a rule in, and what a role may do. What callers may do is
// decided in front of this package, by package access; what the policy of a bus denies, the bus itself refuses, entry by entry.
package eventbus

// Package audit compares what was committed with what took effect. The inbox is the receipt: every effect leaves a marker or
// a position in the transaction that commits it, so nothing needs to be written to find out what is missing.
//
//	settings, err := audit.Load(ctx, parameters, "/outboxkit/Orders/Outbox")
//	began, err := audit.PipeBegan(ctx, pipes, settings.Outbox.Pipe)
//	consumers, unusable, err := audit.Compile(ctx, queues, began, settings.Consumers)
//	for each event:
//		matched, err := consumers.Match(place, item, event.WrittenAt)
//	verdicts, err := audit.Confirm(ctx, tables, effects)
//
// A [Full] audit does so for all events in the outbox table. The auditor, a function that the construct ships, does it for
// each event some time after it was written, and keeps a [List] of those without effect. A [Repairer] sends an event again to
// the consumer that misses it, after [Peek] has shown that it does not wait in a dead-letter queue.
//
// # What is found, and what is not
//
// An event without effect is found wherever it was lost: in a pipe that stood still, by a rule or a mapping that was taken
// away, in a queue that was purged, in a dead-letter queue that expired. A dead letter is no effect, so its event stays on the
// list until it is redriven. An event that waits somewhere longer than the audit does is on the list too, until its effect
// comes.
//
// Not found is what leaves no receipt to look for: a consumer without an inbox; an event of the first five minutes of a
// consumer that joined a running outbox, when its rule may not have been active; an effect outside of DynamoDB that did not
// happen although its marker was written; and an event that expired in the stream while the auditor stood still for a day, for
// which there is the full audit. While the description of a consumer cannot be used, its events are not looked for; each run of
// the auditor fails and names it, and the other consumers' events are looked for as ever.
//
// A consumer whose queue is older than the pipe, as all are that were deployed with the outbox, did not join: the pipe comes
// after every rule and reads the stream from its oldest record, so each event is the consumer's from the beginning. Of a pipe
// that was replaced that holds for the day that is in the stream. Where the pipe cannot be described, every consumer counts as
// one that joined.
//
// A queue that a deployment replaces is as young as one that joined, and what waited in the old queue is gone. The auditor goes
// on with what it knew of the consumer, and what it had read from the stream is looked for by the consumer's name. Not found
// are only events that it had not read when it was started anew at the same time, as after a deployment that changes it too:
// up to the batching window and five minutes of them, or more where it stood still. A full audit, which knows nothing of the
// old queue, counts from five minutes after the new one too.
//
// # What the auditor costs
//
// One million events in a month with two consumers, one of them ordered, in us-east-1 on demand. The requests of 10,000 events
// and of an idle run are counted by TestAuditOfTenThousandEventsIsCheap.
//
//	a million events                                                               USD
//	  stream            Lambda's reads are free                                  0.000
//	  pending queue     1,000 messages of 100 to 200 KB, each sent, received
//	                    and deleted: 7,200 requests of 64 KB                     0.003
//	  read units        0.5 for each marker and for each position; 1 more for
//	                    an aggregate that went on meanwhile: 1,500,000           0.188
//	  write units       none for an event that goes well                         0.000
//	  functions         1,000 batches and as many steps of runs, 0.25 s, 256 MB  0.002
//	  logs              its metrics and Lambda's own lines, 8 MB                 0.004
//	a month, without any event
//	  read units        2 a run with two consumers                               0.011
//	  pending queue     2 requests a run                                         0.035
//	  functions         43,200 runs of 0.1 s                                     0.023
//	  logs              1.3 KB a run                                             0.028
//	in all                                                                       0.29
//
// Besides, a batch of the stream ends with its window, in each shard in which something is written all the time: with a window
// of 300 seconds 8,640 batches a month and shard, each with a message of its own, 0.02 USD; with one of 60 seconds 0.08 USD. A
// new table on demand has four shards.
//
// Custom metrics come on top, 0.30 USD a month each: four a consumer, and one of the outbox. An event that is missing takes a
// write unit when it is listed, one for each look (7 in the first two hours, then 24 a day), and one when it leaves the list.
//
// Sources: aws.amazon.com/dynamodb/pricing/on-demand, /sqs/pricing, /lambda/pricing (arm64), /cloudwatch/pricing.
package audit

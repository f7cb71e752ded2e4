// Package audit compares what was committed with what took effect. The inbox is the receipt: every effect leaves a marker or
// a position in the transaction that commits it, so nothing needs to be written to find out what is missing.
//
//	settings, err := audit.Load(ctx, parameters, "/outboxkit/Orders/Outbox")
//	consumers, err := audit.Compile(ctx, queues, settings.Consumers)
//	for each event:
//		matched, err := consumers.Match(place, item, event.WrittenAt)
//	verdicts, err := audit.Confirm(ctx, tables, effects)
//
// A [Full] audit does so for all events in the outbox table. The auditor, a function that the construct ships, does it for
// each event some time after it was written, and keeps a [List] of those without effect. A [Repairer] sends an event again to
// the consumer that misses it, after [Peek] has shown that it does not wait in a dead-letter queue.
package audit

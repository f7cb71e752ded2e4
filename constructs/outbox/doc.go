// Package outbox gives a CDK app a transactional outbox: a DynamoDB table for events, whose stream an
// EventBridge pipe carries to an event bus, and consumers that each have a rule, a queue, a dead-letter
// queue and a function.
//
// What it guarantees: every event committed into the table is delivered at least once to each consumer
// whose pattern matches it, or it waits in a named dead-letter queue with what is needed to redrive it.
// Settings that would break this are refused when the app is synthesized, all of them in one message.
//
//	box := outbox.NewTransactionalOutbox(stack, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{
//		Source: jsii.String("orders"),
//	})
//	box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
//		EventTypes: jsii.Strings("OrderCreated"),
//		GoFunction: &golambda.FunctionProps{Entry: jsii.String("lambdas/shipping")},
//	})
//	box.GrantWrite(writer)
//
// [ITransactionalOutbox] is what an outbox of this app and an imported one have in common:
// [NewTransactionalOutbox] adds one, [TransactionalOutbox_FromAttributes] imports one. [ConsumerProps] says
// what a consumer can be told. Handlers are written with runtime/inbox, writers with runtime/outbox; the outbox
// item and the event on the bus are described in runtime/record.
package outbox

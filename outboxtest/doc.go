// Package outboxtest tests a stack with a transactional outbox as it will be deployed: it runs the synthesized template on this
// machine, with no AWS account and no Docker, inside the test. A test does something, waits for the event that this leads to,
// and says what becomes of it:
//
//	func TestOrderIsShipped(t *testing.T) {
//		run := outboxtest.Start(t, outboxtest.Stack("Shop"))
//		res := run.POST(t, "/orders", `{"customerId": "c-1"}`)
//		event := run.Event(t, outboxtest.Type("OrderCreated"), outboxtest.Aggregate("Order", res.ID))
//		event.HandledBy(t, "Ship")
//		run.Deliver(t, event, "Ship") // again, as SQS may
//		event.Effects(t, "Ship").Is(1)
//		run.NoDeadLetters(t)
//	}
//
// # The run
//
// [Start] synthesizes the app where its cdk.out is older than its sources, and starts the stack once in a test binary: parallel
// tests with the same options share it. It ends with the test binary, after a panic, a timeout and kill -9 too, and leaves
// nothing behind. It needs what `outbox local` needs: Java, Node.js, and the app's npm packages.
//
// # Waiting
//
// Nothing sleeps. A wait ends as soon as what it waits for has happened or cannot happen any more, or after [Patience]. A test
// that fails shows where the event is and its whole way with the lines that the functions have logged about it.
//
// # Tests that share a run
//
// A test sees its own events, because a matcher that leaves out the others is required: [Aggregate], [ID], [CausedBy],
// [Correlation] or [Where]. Use an aggregate of its own in each test. [Run.NoDeadLetters], [Run.Fault] and [Run.Stub] mind the
// events of the test only. What concerns all events, such as [Run.Advance], needs a run of its own: [Own].
//
// # A consumer's name
//
// A consumer is a queue and the function that a mapping invokes with its messages. Its name is that under which the construct
// added it: "Ship". For a queue of your own it is the last part of the construct path that is not just "Queue".
// Where two stacks of a run have one each, the stack stands before it: "Shop/Ship".
package outboxtest

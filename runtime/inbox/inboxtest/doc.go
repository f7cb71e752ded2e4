// Package inboxtest runs the handler of a consumer in a test, without a stack and without AWS: the inbox and the transaction
// are the real ones, DynamoDB and SQS are in memory.
//
//	db := inboxtest.NewDB(map[string][]string{"shipments": {"orderId"}}) // the consumer's own tables and their keys
//	var queue inboxtest.Queue
//	handler := inbox.Handler(inboxtest.NewStore(db, &queue), ship)
//
//	created := inboxtest.Message(record.Event{ID: "e1", Type: "OrderCreated", … })
//	failed, err := inboxtest.Handle(ctx, handler, created, created) // delivered twice
//
//	db.Items("shipments") // one shipment, as plain values
//	db.Events()           // what the consumer has appended
//	failed                // the ids of the messages that come back
//	queue.DeadLetters()   // the messages that failed for good, with the reason
//
// [DB.Inject] makes DynamoDB fail as it does: a conflict, throttling, an answer that is lost on its way. A test that hands
// over the same message again afterwards shows what the guarantee of package inbox is worth to the consumer.
//
// # What the memory knows
//
// TransactWriteItems with Put, Update, Delete and ConditionCheck, request tokens, and the reasons of a cancellation; GetItem;
// Query without an index and in ascending order, for keys that are texts. Conditions may have comparisons, BETWEEN, IN, attribute_exists,
// attribute_not_exists, begins_with, NOT, AND and OR; updates SET with sums, differences and if_not_exists, REMOVE, and ADD of
// numbers. What it does not know, such as the path of a nested attribute, it refuses with an error that names the
// expression: it does not guess.
//
// Everything is consistent and in one page. There are no limits of size, no reserved words and no indexes, and items do not
// expire. The model is compared with DynamoDB Local in the tests of this module.
package inboxtest

// Package outbox writes to DynamoDB and publishes what it wrote, in one transaction: the application's writes
// and the events about them are committed together, or not at all. The events reach the bus from
// the outbox table's stream; a committed one cannot be lost on the way, and one that was not committed
// does not exist.
//
//	o := outbox.New(client, outbox.Config{Table: "outbox", Source: "orders"})
//
//	tx := o.Begin(ctx)
//	tx.UpdateVersioned(types.Update{ … }, "version", order.Version, outbox.Event{
//		Type: "OrderConfirmed", AggregateType: "Order", AggregateID: order.ID, Data: order,
//	})
//	err := tx.Commit(ctx)
//
// # Versions
//
// The version numbers the events of one aggregate: 1, 2, 3 … A consumer that needs order relies on it, so
// two writers must never use the same one. Choose one of these ways for an aggregate, and keep to it:
//
//   - PutVersioned and UpdateVersioned tie the event's version to the business item's own version attribute.
//     They cost nothing more. A writer that read an outdated item gets ErrConditionFailed.
//   - AppendNext takes the next number of a counter item in the outbox table. It costs half a read unit and
//     two write units, and is for events without a versioned business item. Lost races are retried.
//   - Append leaves the number to the caller, for example 1 where the transaction creates the item.
//
// # What a transaction costs
//
// DynamoDB takes 2 write units for each KB (rounded up, an item at a time) of a write in a transaction, also
// for one that fails. One business item under 1 KB and one event under 1 KB are 4 write units; deletion of the
// event by TTL is free.
//
// # Least privilege
//
// Commit needs dynamodb:PutItem on the outbox table, and for each of the application's actions PutItem,
// UpdateItem, DeleteItem or ConditionCheckItem on its table. There is no permission for TransactWriteItems
// itself. AppendNext also needs GetItem on the outbox table.
package outbox

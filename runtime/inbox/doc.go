// Package inbox handles the events of a consumer's queue so that each has its effects once, however often
// it is delivered. Its memory of the event, the consumer's own writes and the events that follow from them
// are committed in one DynamoDB transaction.
//
//	store, err := inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
//	…
//	lambda.Start(inbox.Handler(store, func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
//		tx.Put(shipmentFor(event))
//		tx.Append(outbox.Event{Type: "ShipmentRequested", … })
//		return nil
//	}))
//
// # What is guaranteed
//
// Handler: the writes and events that the function adds to the transaction take effect exactly once, or the
// message waits in the dead-letter queue. The function itself may run more than once. EffectHandler, for
// effects outside DynamoDB: at least once; a duplicate is recognized unless the process died between the
// effect and the note of it. InOrder: besides, the events of one aggregate take effect in the order of their
// versions, without a gap.
//
// An event is remembered for Config.TTL, and with InOrder for good. The event source mapping must report batch
// item failures.
//
// Package inboxtest runs a consumer's handler in a test, without AWS.
//
// # What a message costs
//
// In DynamoDB's units for items up to 1 KB; more for each KB of the function's own items. A write in a
// transaction takes 2 write units a KB, also when the transaction fails. w is the number of the function's
// writes and events.
//
//	                          event handled     duplicate, or too early
//	Handler                   2+2w WCU          2+2w WCU
//	Handler, ReadFirst        2+2w WCU, 1 RCU   1 RCU
//	Handler, InOrder          2+2w WCU          2+2w WCU
//	EffectHandler             4 WCU             2 WCU
//
// With Handler a message whose function fails costs 1 RCU more: before it is given back, the inbox is asked whether it
// is a duplicate. A message that came too early costs one SQS request more, as does one that fails for good.
// InOrder costs 1 RCU and one SQS request a cold start, 1 RCU more for a duplicate of a version below the aggregate's
// last, and a query of an aggregate's items in the outbox table for each message that came too early.
//
// # Least privilege
//
// On the inbox table dynamodb:PutItem and GetItem; on the tables of the function's writes and events what
// package outbox lists; sqs:SendMessage on the dead-letter queue; and, with InOrder,
// sqs:ChangeMessageVisibility and GetQueueAttributes on the queue, and dynamodb:Query on the outbox table for
// the attributes in record.HistoryFields.
package inbox

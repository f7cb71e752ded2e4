package faults

import "strings"

// Point is a place where a fault may happen.
type Point string

// The points.
const (
	// DynamoDB, requests for data of every caller.
	// Source: DynamoDB developer guide, Programming.Errors.
	DynamoDBThrottle     Point = "dynamodb.throttle"      // refused: ProvisionedThroughputExceededException or ThrottlingException
	DynamoDBConflict     Point = "dynamodb.conflict"      // refused: TransactionConflict, as a reason of a transaction or as an exception
	DynamoDBErrorBefore  Point = "dynamodb.error-before"  // 500, and nothing was done
	DynamoDBErrorAfter   Point = "dynamodb.error-after"   // 500, and it was done
	DynamoDBTimeoutAfter Point = "dynamodb.timeout-after" // done, and the connection is held for a second and cut

	// The stream, as a pipe reads it.
	StreamRedeliver       Point = "stream.redeliver"        // the page from this record on comes again after it was delivered
	StreamExpiredIterator Point = "stream.expired-iterator" // the read fails, the place must be found again
	StreamPause           Point = "stream.pause"            // the shard gives nothing for two seconds
	StreamReorder         Point = "stream.reorder"          // this record and the one before it, of another item, swap places in a batch
	StreamEmpty           Point = "stream.empty"            // a read gives nothing though there are records

	PipeRestart Point = "pipe.restart" // the pipe starts anew after the target accepted this record, before its position is stored

	// The bus: PutEvents, then the targets of its rules.
	BusPartial      Point = "bus.partial"       // PutEvents fails for this entry with InternalFailure or ThrottlingException
	BusTimeoutAfter Point = "bus.timeout-after" // PutEvents took the entries, and the connection is held for a second and cut
	BusDuplicate    Point = "bus.duplicate"     // the event is sent to the target twice
	BusDenyTarget   Point = "bus.deny-target"   // the target takes nothing for two seconds, which is retried
	BusNoPermission Point = "bus.no-permission" // the target's policy does not let the rule in, which is not retried

	// A queue, as an event source mapping reads it. Duplicates and reordering spare FIFO queues.
	QueueDuplicate       Point = "queue.duplicate"        // the message is received once more, deleted or not
	QueueReorder         Point = "queue.reorder"          // the message comes after messages that were sent later
	QueueEarlyVisibility Point = "queue.early-visibility" // the message becomes visible again at once, while it is being handled
	QueueReceiveError    Point = "queue.receive-error"    // the receive fails, the messages come with the next
	QueueDeleteFails     Point = "queue.delete-fails"     // the deletion is answered with an error, done or not

	// A function, at its Runtime API.
	FunctionKillBefore        Point = "function.kill-before"         // kill -9 when the function would get the invocation
	FunctionKillAfterCommit   Point = "function.kill-after-commit"   // kill -9 when the function has done its work, in place of taking the response
	FunctionKillAfterResponse Point = "function.kill-after-response" // kill -9 right after the response was taken from the function, whose caller never gets it
	FunctionTimeout           Point = "function.timeout"             // the invocation does not arrive, or its response is held, until the function's time is up
	FunctionOutOfMemory       Point = "function.out-of-memory"       // killed while it works
	FunctionMalformedResponse Point = "function.malformed-response"  // a batch is answered with broken JSON, the id of no message, or without a list of failures where there is none
	FunctionInitFailure       Point = "function.init-failure"        // killed before its first invocation
	FunctionSlowStart         Point = "function.slow-start"          // its init takes a second and a half longer
)

// Points are all points, in the order of the flow.
var Points = []Point{
	DynamoDBThrottle, DynamoDBConflict, DynamoDBErrorBefore, DynamoDBErrorAfter, DynamoDBTimeoutAfter,
	StreamRedeliver, StreamExpiredIterator, StreamPause, StreamReorder, StreamEmpty,
	PipeRestart,
	BusPartial, BusTimeoutAfter, BusDuplicate, BusDenyTarget, BusNoPermission,
	QueueDuplicate, QueueReorder, QueueEarlyVisibility, QueueReceiveError, QueueDeleteFails,
	FunctionKillBefore, FunctionKillAfterCommit, FunctionKillAfterResponse, FunctionTimeout, FunctionOutOfMemory,
	FunctionMalformedResponse, FunctionInitFailure, FunctionSlowStart,
}

// pointList names all points, for error messages.
func pointList() string {
	names := make([]string, len(Points))
	for i, p := range Points {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

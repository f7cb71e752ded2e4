package faults

import "strings"

// A Point is a place where a fault may happen.
type Point string

// The points.
const (
	// DynamoDB: requests for data, of every caller.
	// Source: DynamoDB developer guide, Programming.Errors.
	DynamoDBThrottle     Point = "dynamodb.throttle"      // refused: ProvisionedThroughputExceededException or ThrottlingException
	DynamoDBConflict     Point = "dynamodb.conflict"      // refused: TransactionConflict, as the reason of a canceled transaction or as an exception
	DynamoDBErrorBefore  Point = "dynamodb.error-before"  // 500, and nothing was done
	DynamoDBErrorAfter   Point = "dynamodb.error-after"   // 500, and it was done
	DynamoDBTimeoutAfter Point = "dynamodb.timeout-after" // done, and the connection is held for a second and closed

	// The stream that a pipe reads.
	StreamRedeliver       Point = "stream.redeliver"        // the records of a page, from this one on, are read again after they were delivered
	StreamExpiredIterator Point = "stream.expired-iterator" // the read fails, and the pipe must open the shard again
	StreamPause           Point = "stream.pause"            // reads of the shard return nothing for two seconds
	StreamReorder         Point = "stream.reorder"          // this record and the one before it, of another item, swap places in a batch
	StreamEmpty           Point = "stream.empty"            // a read returns nothing though there are records

	PipeRestart Point = "pipe.restart" // the pipe restarts after the target accepted this record and before its checkpoint is stored

	// The bus: PutEvents, then the targets of its rules.
	BusPartial      Point = "bus.partial"       // PutEvents fails for this entry with InternalFailure or ThrottlingException
	BusTimeoutAfter Point = "bus.timeout-after" // PutEvents accepted the entries, and the connection is held for a second and closed
	BusDuplicate    Point = "bus.duplicate"     // the event is sent to the target twice
	BusDenyTarget   Point = "bus.deny-target"   // the target refuses everything for two seconds, which is retried
	BusNoPermission Point = "bus.no-permission" // the target's policy does not allow the rule, which is not retried

	// The queue that an event source mapping polls. Duplicates and reordering spare FIFO queues.
	QueueDuplicate       Point = "queue.duplicate"        // the message is received once more, deleted or not
	QueueReorder         Point = "queue.reorder"          // the message is received after messages that were sent later
	QueueEarlyVisibility Point = "queue.early-visibility" // the message becomes visible again at once, while it is being handled
	QueueReceiveError    Point = "queue.receive-error"    // the receive fails, and the next one returns its messages
	QueueDeleteFails     Point = "queue.delete-fails"     // the deletion returns an error, done or not

	// The Runtime API of a function.
	FunctionKillBefore        Point = "function.kill-before"         // kill -9 when the function is about to receive the invocation
	FunctionKillAfterCommit   Point = "function.kill-after-commit"   // kill -9 when the function has done its work, in place of accepting the response
	FunctionKillAfterResponse Point = "function.kill-after-response" // kill -9 right after the response was accepted from the function; its caller never receives it
	FunctionTimeout           Point = "function.timeout"             // the invocation does not arrive, or its response is held, until the function's time is up
	FunctionOutOfMemory       Point = "function.out-of-memory"       // killed while it works
	FunctionMalformedResponse Point = "function.malformed-response"  // the response to a batch is broken JSON or names the id of no message; or, where it reports no failure, has no list
	FunctionInitFailure       Point = "function.init-failure"        // killed before its first invocation
	FunctionSlowStart         Point = "function.slow-start"          // its init takes a second and a half longer
)

// Points lists all points, in the order of the flow.
var Points = []Point{
	DynamoDBThrottle, DynamoDBConflict, DynamoDBErrorBefore, DynamoDBErrorAfter, DynamoDBTimeoutAfter,
	StreamRedeliver, StreamExpiredIterator, StreamPause, StreamReorder, StreamEmpty,
	PipeRestart,
	BusPartial, BusTimeoutAfter, BusDuplicate, BusDenyTarget, BusNoPermission,
	QueueDuplicate, QueueReorder, QueueEarlyVisibility, QueueReceiveError, QueueDeleteFails,
	FunctionKillBefore, FunctionKillAfterCommit, FunctionKillAfterResponse, FunctionTimeout, FunctionOutOfMemory,
	FunctionMalformedResponse, FunctionInitFailure, FunctionSlowStart,
}

// pointList returns all points as text, for error messages.
func pointList() string {
	names := make([]string, len(Points))
	for i, p := range Points {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

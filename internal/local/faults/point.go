package faults

import "strings"

// A Point is a place where a fault may happen.
type Point string

// The points. [Point.Meaning] says what each does.
const (
	// DynamoDB: requests for data, of every caller.
	// Source: DynamoDB developer guide, Programming.Errors.
	DynamoDBThrottle     Point = "dynamodb.throttle"
	DynamoDBConflict     Point = "dynamodb.conflict"
	DynamoDBErrorBefore  Point = "dynamodb.error-before"
	DynamoDBErrorAfter   Point = "dynamodb.error-after"
	DynamoDBTimeoutAfter Point = "dynamodb.timeout-after"

	// The stream that a pipe reads.
	StreamRedeliver       Point = "stream.redeliver"
	StreamExpiredIterator Point = "stream.expired-iterator"
	StreamPause           Point = "stream.pause"
	StreamReorder         Point = "stream.reorder"
	StreamEmpty           Point = "stream.empty"

	PipeRestart Point = "pipe.restart"

	// The bus: PutEvents, then the targets of its rules.
	BusPartial      Point = "bus.partial"
	BusTimeoutAfter Point = "bus.timeout-after"
	BusDuplicate    Point = "bus.duplicate"
	BusDenyTarget   Point = "bus.deny-target"
	BusNoPermission Point = "bus.no-permission"

	// The queue that an event source mapping polls. Duplicates and reordering spare FIFO queues.
	QueueDuplicate       Point = "queue.duplicate"
	QueueReorder         Point = "queue.reorder"
	QueueEarlyVisibility Point = "queue.early-visibility"
	QueueReceiveError    Point = "queue.receive-error"
	QueueDeleteFails     Point = "queue.delete-fails"

	// The Runtime API of a function.
	FunctionKillBefore        Point = "function.kill-before"
	FunctionKillAfterCommit   Point = "function.kill-after-commit"
	FunctionKillAfterResponse Point = "function.kill-after-response"
	FunctionTimeout           Point = "function.timeout"
	FunctionOutOfMemory       Point = "function.out-of-memory"
	FunctionMalformedResponse Point = "function.malformed-response"
	FunctionInitFailure       Point = "function.init-failure"
	FunctionSlowStart         Point = "function.slow-start"
)

// meanings say what the faults do.
var meanings = map[Point]string{
	DynamoDBThrottle:          "refused: ProvisionedThroughputExceededException or ThrottlingException",
	DynamoDBConflict:          "refused: TransactionConflict, as the reason of a canceled transaction or as an exception",
	DynamoDBErrorBefore:       "500, and nothing was done",
	DynamoDBErrorAfter:        "500, and it was done",
	DynamoDBTimeoutAfter:      "done, and the connection is held for a second and closed",
	StreamRedeliver:           "the records of a page, from this one on, are read again after they were delivered",
	StreamExpiredIterator:     "the read fails, and the pipe must open the shard again",
	StreamPause:               "reads of the shard return nothing for two seconds",
	StreamReorder:             "this record and the one before it, of another item, swap places in a batch",
	StreamEmpty:               "a read returns nothing though there are records",
	PipeRestart:               "the pipe restarts after the target accepted this record and before its checkpoint is stored",
	BusPartial:                "PutEvents fails for this entry with InternalFailure or ThrottlingException",
	BusTimeoutAfter:           "PutEvents accepted the entries, and the connection is held for a second and closed",
	BusDuplicate:              "the event is sent to the target twice",
	BusDenyTarget:             "the target refuses everything for two seconds, which is retried",
	BusNoPermission:           "the target's policy does not allow the rule, which is not retried",
	QueueDuplicate:            "the message is received once more, deleted or not",
	QueueReorder:              "the message is received after messages that were sent later",
	QueueEarlyVisibility:      "the message becomes visible again at once, while it is being handled",
	QueueReceiveError:         "the receive fails, and the next one returns its messages",
	QueueDeleteFails:          "the deletion returns an error, done or not",
	FunctionKillBefore:        "kill -9 when the function is about to receive the invocation",
	FunctionKillAfterCommit:   "kill -9 when the function has done its work, in place of accepting the response",
	FunctionKillAfterResponse: "kill -9 right after the response was accepted from the function; its caller never receives it",
	FunctionTimeout:           "the invocation does not arrive, or its response is held, until the function's time is up",
	FunctionOutOfMemory:       "killed while it works",
	FunctionMalformedResponse: "the response to a batch is broken JSON or names the id of no message; or, where it reports no failure, has no list",
	FunctionInitFailure:       "killed before its first invocation",
	FunctionSlowStart:         "its init takes a second and a half longer",
}

// Meaning returns what the fault does, for a person.
func (p Point) Meaning() string { return meanings[p] }

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

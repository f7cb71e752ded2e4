package eventsource

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// A condition is the reason why records are given up, in AWS's words.
type condition string

const (
	retryAttemptsExhausted condition = "RetryAttemptsExhausted"
	recordAgeExceeded      condition = "RecordAgeExceeded"
)

// An answer is what the invocations of a part came to so far.
type answer struct {
	invocations   int
	functionError string // of the last one; empty when the function only named records that failed
}

// A failureRecord is what Lambda sends to the destination of records that it gives up. Like a pipe's it does not hold
// the records.
// Source: Lambda developer guide, services-dynamodb-errors, "Example SQS invocation record".
type failureRecord struct {
	RequestContext  requestContext    `json:"requestContext"`
	ResponseContext *responseContext  `json:"responseContext,omitempty"` // missing when the function was not invoked
	Version         string            `json:"version"`
	Timestamp       time.Time         `json:"timestamp"`
	Batch           streams.BatchInfo `json:"DDBStreamBatchInfo"`
}

type requestContext struct {
	RequestID   string    `json:"requestId"`
	FunctionARN string    `json:"functionArn"`
	Condition   condition `json:"condition"`
	Invocations int       `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode    int    `json:"statusCode"`
	Version       string `json:"executedVersion"`
	FunctionError string `json:"functionError,omitempty"`
}

func failureMessage(d Description, p part, why condition) string {
	record := failureRecord{
		RequestContext: requestContext{RequestID: uuid.NewString(), FunctionARN: d.FunctionARN, Condition: why, Invocations: p.answer.invocations},
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Truncate(time.Millisecond),
		Batch:          streams.NewBatchInfo(d.SourceARN, p.batch.Shard, p.records()),
	}
	if p.answer.invocations > 0 {
		record.ResponseContext = &responseContext{StatusCode: 200, Version: "$LATEST", FunctionError: p.answer.functionError}
	}
	encoded, _ := json.Marshal(record) // strings, numbers and times always encode
	return string(encoded)
}

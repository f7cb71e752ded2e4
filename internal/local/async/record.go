package async

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
)

// A Condition is why Lambda has ended an invocation.
// Source: Lambda developer guide, invocation-async-retain-records, "Example invocation record".
type Condition string

// The conditions. AWS's page shows RetriesExhausted; the others are in records of users, for example aws/aws-cdk's README of
// aws-lambda-destinations.
const (
	Success          Condition = "Success"
	RetriesExhausted Condition = "RetriesExhausted"
	EventAgeExceeded Condition = "EventAgeExceeded"
)

// An Invocation is one that has ended.
type Invocation struct {
	FunctionARN string
	Payload     json.RawMessage
	Condition   Condition
	Attempts    int
	Response    json.RawMessage // of the last attempt, or empty
	Err         error           // of the last attempt, or nil
}

type (
	record struct {
		Version         string           `json:"version"`
		Timestamp       time.Time        `json:"timestamp"`
		RequestContext  requestContext   `json:"requestContext"`
		RequestPayload  json.RawMessage  `json:"requestPayload"`
		ResponseContext *responseContext `json:"responseContext,omitempty"` // missing when the function was not invoked
		ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
	}
	requestContext struct {
		RequestID   string    `json:"requestId"`
		FunctionARN string    `json:"functionArn"`
		Condition   Condition `json:"condition"`
		Attempts    int       `json:"approximateInvokeCount"`
	}
	responseContext struct {
		StatusCode    int    `json:"statusCode"`
		Version       string `json:"executedVersion"`
		FunctionError string `json:"functionError,omitempty"`
	}
	functionFailure struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType,omitempty"`
	}
)

const latest = "$LATEST" // the version of a function that has no other name

// record returns what Lambda sends to a destination.
// Source: Lambda developer guide, invocation-async-retain-records, "Example invocation record".
func (i Invocation) record(requestID string) string {
	arn := i.FunctionARN
	if _, qualifier := cloud.CutQualifier(arn); qualifier == "" {
		arn += ":" + latest
	}
	r := record{
		Version: "1.0", Timestamp: time.Now().UTC().Truncate(time.Millisecond),
		RequestContext: requestContext{RequestID: requestID, FunctionARN: arn, Condition: i.Condition, Attempts: i.Attempts},
		RequestPayload: i.Payload,
	}
	switch {
	case i.Err != nil:
		r.ResponseContext = &responseContext{StatusCode: statusOK, Version: latest, FunctionError: "Unhandled"}
		r.ResponsePayload, _ = json.Marshal(i.failure()) // strings always encode
	case i.Attempts > 0:
		r.ResponseContext = &responseContext{StatusCode: statusOK, Version: latest}
		if r.ResponsePayload = i.Response; !json.Valid(i.Response) {
			r.ResponsePayload = json.RawMessage("null")
		}
	}
	encoded, _ := json.Marshal(r) // the payload is JSON, as the response is
	return string(encoded)
}

// statusOK is the status of an invocation whose function has run, and failed or not.
const statusOK = 200

func (i Invocation) failure() functionFailure {
	var failed *functions.FunctionError
	if errors.As(i.Err, &failed) {
		return functionFailure{failed.Message, failed.Type}
	}
	return functionFailure{Message: i.Err.Error()}
}

func newRequestID() string { return uuid.NewString() }

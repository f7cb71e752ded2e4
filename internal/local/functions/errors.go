package functions

import (
	"errors"
	"fmt"
)

// Errors of the host: the function was not invoked.
var (
	// ErrNotFound is wrapped when no function has the ARN; the message lists those there are.
	ErrNotFound = errors.New("no such function")
	// ErrThrottled is wrapped when the function's ReservedConcurrentExecutions is 0.
	ErrThrottled = errors.New("throttled")
	// ErrRequestTooLarge is wrapped when the payload is larger than MaxRequest.
	ErrRequestTooLarge = errors.New("request too large")
	// ErrClosed is wrapped when the host was closed before the function answered.
	ErrClosed = errors.New("the function host is closed")
)

// The types of a FunctionError that the host gives, as Lambda gives them. All others come from the
// function itself.
const (
	TypeExit             = "Runtime.ExitError"             // the process ended without an answer
	TypeTimeout          = "Sandbox.Timedout"              // it took longer than its Timeout, or its init than 10 s
	TypeResponseTooLarge = "Function.ResponseSizeTooLarge" // more than MaxResponse
	TypeUnknown          = "Runtime.UnknownReason"         // it reported an error without a type
	typeBadRequestID     = "InvalidRequestID"              // only the runtime sees it
	typeResponseRejected = "RequestEntityTooLarge"         // only the runtime sees it
)

// A FunctionError reports that the function ran and failed: it returned an error, crashed, could not start
// or took too long. Every other error of Invoke means that the host could not run it.
type FunctionError struct {
	Function string // logical id
	Type     string // the function's errorType, or one of the types above
	Message  string // the function's errorMessage
	// LogTail is what the function wrote to its log during the invocation, at most the last 4 KB.
	LogTail string
}

// Error implements error.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %s failed: %s: %s", e.Function, e.Type, e.Message)
}

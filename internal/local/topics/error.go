package topics

import (
	"fmt"
	"net/http"
)

// An Error is a call that SNS refuses. Source: SNS API reference, the errors of each action.
type Error struct {
	Status  int // of HTTP
	Code    string
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: " + fmt.Sprintf(format, args...)}
}

func notFound(what string) *Error {
	return &Error{http.StatusNotFound, "NotFound", what + " does not exist"}
}

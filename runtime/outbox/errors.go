package outbox

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// What Commit's errors are, for errors.Is. An error that is none of these is DynamoDB's refusal of the
// request (a missing permission or table, an invalid expression): nothing was written, and trying again
// will not help.
var (
	// ErrConditionFailed: nothing was written, because a condition did not hold. errors.As with
	// *ConditionFailedError finds out which.
	ErrConditionFailed = errors.New("condition failed")
	// ErrConflict: nothing was written, because other transactions kept getting in the way. Commit of the
	// same transaction may be called again.
	ErrConflict = errors.New("transaction conflict")
	// ErrThrottled: nothing was written, for lack of capacity. Commit of the same transaction may be
	// called again.
	ErrThrottled = errors.New("throttled")
	// ErrTooLarge: nothing was sent, because a limit of DynamoDB or EventBridge is exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrTokenMismatch: nothing was written. The request token had been used for another transaction,
	// which cannot happen unless a client changes requests on their way.
	ErrTokenMismatch = errors.New("request token was used for another transaction")
	// ErrUnknownOutcome: a request was sent and no answer came back, so the transaction may have been
	// committed or not. Commit of the same transaction, within 9 minutes, finds out: it sends the same
	// token, which DynamoDB carries out at most once.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// A ConditionFailedError lists the conditions that did not hold.
type ConditionFailedError struct {
	// Failed holds at least one entry, in the order in which the actions were added.
	Failed []FailedAction
}

// A FailedAction is an action whose condition did not hold.
type FailedAction struct {
	// Index counts the actions of the transaction, events included, from 0 in the order of the calls.
	Index int
	// Kind is Put, Update, Delete or ConditionCheck.
	Kind string
	// Table is the action's table.
	Table string
	// Item is the stored item, if there is one and the action asked for it with
	// ReturnValuesOnConditionCheckFailure.
	Item map[string]types.AttributeValue
}

// Error returns which conditions did not hold.
func (e *ConditionFailedError) Error() string {
	var b strings.Builder
	b.WriteString(ErrConditionFailed.Error())
	for i, f := range e.Failed {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&b, "%saction[%d] (%s on %q)", separator, f.Index, f.Kind, f.Table)
	}
	return b.String()
}

// Is reports whether the target is ErrConditionFailed.
func (e *ConditionFailedError) Is(target error) bool { return target == ErrConditionFailed }

// Action returns the failed action with that index.
func (e *ConditionFailedError) Action(index int) (FailedAction, bool) {
	for _, f := range e.Failed {
		if f.Index == index {
			return f, true
		}
	}
	return FailedAction{}, false
}

// The codes of a cancellation's reasons.
// Source: DynamoDB API reference, TransactWriteItems, errors, TransactionCanceledException.
const (
	reasonNone      = "None"
	reasonCondition = "ConditionalCheckFailed"
	reasonConflict  = "TransactionConflict"
	reasonThrottled = "ThrottlingError"
	reasonCapacity  = "ProvisionedThroughputExceeded"
)

// classify returns what one attempt's error means for the transaction.
func classify(err error, items []types.TransactWriteItem) error {
	var canceled *types.TransactionCanceledException
	var mismatch *types.IdempotentParameterMismatchException
	var inProgress *types.TransactionInProgressException
	switch {
	case errors.As(err, &canceled):
		return classifyReasons(err, canceled.CancellationReasons, items)
	case errors.As(err, &mismatch):
		return fmt.Errorf("%w: %w", ErrTokenMismatch, err)
	case errors.As(err, &inProgress):
		// Nobody else has the token: it is an earlier attempt of ours that is in progress.
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case !wroteNothing(err):
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case isThrottle(err):
		return fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	return err
}

// classifyReasons lets a failed condition win over everything else: no retry of the same request can make
// it hold by right. A reason that is not known as passing is final.
func classifyReasons(err error, reasons []types.CancellationReason, items []types.TransactWriteItem) error {
	failed := &ConditionFailedError{}
	var conflict, throttled bool
	var other error
	for i, reason := range reasons[:min(len(reasons), len(items))] {
		kind, table := describe(items[i])
		switch code := aws.ToString(reason.Code); code {
		case reasonNone, "":
		case reasonCondition:
			failed.Failed = append(failed.Failed, FailedAction{Index: i, Kind: kind, Table: table, Item: reason.Item})
		case reasonConflict:
			conflict = true
		case reasonThrottled, reasonCapacity:
			throttled = true
		default:
			other = errors.Join(other, fmt.Errorf("action[%d] (%s on %q): %s: %s", i, kind, table, code, aws.ToString(reason.Message)))
		}
	}
	switch {
	case len(failed.Failed) > 0:
		return failed
	case other != nil:
		return fmt.Errorf("%w: %w", other, err)
	case conflict:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case throttled:
		return fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	return err
}

// wroteNothing reports whether the error proves that its attempt had no effect: DynamoDB refused it with
// a status of the 400s, or the SDK never sent it. A status of the 500s proves nothing.
// Source: DynamoDB developer guide, "Error handling with DynamoDB", InternalServerError.
func wroteNothing(err error) bool {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()/100 == 4
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorFault() == smithy.FaultClient
	}
	var operation *smithy.OperationError
	if !errors.As(err, &operation) {
		return false // not the SDK's own: nothing is known
	}
	var send *smithyhttp.RequestSendError
	var canceled interface{ CanceledError() bool }
	return !errors.As(err, &send) && !errors.As(err, &canceled)
}

func isThrottle(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, throttle := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return throttle
}

// describe names an action as the application knows it.
func describe(item types.TransactWriteItem) (kind, table string) {
	switch {
	case item.Put != nil:
		return "Put", aws.ToString(item.Put.TableName)
	case item.Update != nil:
		return "Update", aws.ToString(item.Update.TableName)
	case item.Delete != nil:
		return "Delete", aws.ToString(item.Delete.TableName)
	case item.ConditionCheck != nil:
		return "ConditionCheck", aws.ToString(item.ConditionCheck.TableName)
	}
	return "empty", ""
}

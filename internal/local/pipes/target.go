package pipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// throttles recognizes the codes with which AWS throttles.
var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// classifyError returns the error of a target's call, marked with ErrInternal unless the caller caused it: a status
// from 400 to 499 that is not throttling.
func classifyError(err error) error {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		status := answer.HTTPStatusCode()
		throttled := status == http.StatusTooManyRequests || throttles.IsErrorThrottle(err) == aws.TrueTernary
		if status >= 400 && status < 500 && !throttled {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrInternal, err)
}

// sendEach builds an entry from each record, sends the entries with one call and returns one error for each record, or
// nil when all were accepted. A record whose entry cannot be built fails alone. send returns one error for each entry.
func sendEach[E any](ctx context.Context, records []Record, build func(Record, int) (E, error), send func(context.Context, []E) []error) []error {
	errs := make([]error, len(records))
	var entries []E
	var places []int
	for i, record := range records {
		entry, err := build(record, i)
		if err != nil {
			errs[i] = err
			continue
		}
		entries, places = append(entries, entry), append(places, i)
	}
	if len(entries) > 0 {
		for i, err := range send(ctx, entries) {
			errs[places[i]] = err
		}
	}
	if errors.Join(errs...) == nil {
		return nil
	}
	return errs
}

// errorForEach returns the error of a call that failed as a whole, once for each entry.
func errorForEach(err error, entries int) []error {
	errs := make([]error, entries)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

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

// throttles recognizes AWS's throttling codes.
var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// classified marks a failed call of a target with ErrInternal unless it was the caller's fault: an
// answer in the 400s that is not throttling.
func classified(err error) error {
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

// sendEach sends what can be built from the records with one call and puts the errors together: one for
// each record, or nil when all were accepted. send gets the entries and returns one error for each.
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

// sameForAll is the error of a call that failed as a whole.
func sameForAll(err error, entries int) []error {
	errs := make([]error, entries)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

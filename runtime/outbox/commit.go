package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
)

const (
	// commitTime bounds one Commit when the context does not.
	commitTime = time.Minute
	// attemptTime bounds one request, so that one that is lost on the way leaves time to ask again.
	attemptTime = 5 * time.Second
	// tokenTime is how long a request token is trusted. DynamoDB remembers it for 10 minutes after the
	// first request with it was completed; the rest is for the last Commit's own time.
	// Source: DynamoDB API reference, TransactWriteItems, ClientRequestToken.
	tokenTime = 10*time.Minute - commitTime
	// The pause before a retry is drawn evenly from zero up to a bound that doubles from firstPause to
	// longestPause: those who collided once should not meet again.
	firstPause   = 25 * time.Millisecond
	longestPause = time.Second
)

// attempts are the requests of a transaction so far.
type attempts struct {
	input     dynamodb.TransactWriteItemsInput // the same, with its token, until a lost race for a version changes it
	token     string                           // of the input; empty when there is none yet
	first     time.Time                        // when the input was sent first
	unknown   bool                             // a request was sent whose outcome is not known yet
	committed bool
}

// Commit writes all actions and events at once, or nothing. It returns nil when they are written, also
// when an earlier Commit of the same transaction has written them; a transaction without actions is
// committed as it is.
//
// Conflicts with other transactions, throttling, server errors and lost answers are retried with the same
// request token, so that nothing is written twice, until the context ends or for one minute. A failed
// condition is not retried. The errors a caller can act on are listed with ErrConditionFailed; those that
// Commit gave up on wrap the context's error too. After any error Commit may be called again.
func (tx *Tx) Commit(ctx context.Context) error {
	tx.sealed = true
	if len(tx.problems) == 0 && (tx.committed || len(tx.actions) == 0) {
		return nil
	}
	if err := tx.commit(ctx); err != nil {
		return fmt.Errorf("outbox: commit: %w", err)
	}
	tx.committed = true
	return nil
}

func (tx *Tx) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return tx.orUnknown(err)
	}
	end := time.Now().Add(commitTime)
	if err := tx.prepare(ctx); err != nil {
		return tx.orUnknown(err)
	}
	for try := 0; ; try++ {
		err := tx.send(ctx)
		if err == nil {
			return nil
		}
		again, err := tx.retry(err)
		if !again {
			return tx.orUnknown(err)
		}
		if ended := pause(ctx, end, try); ended != nil {
			return fmt.Errorf("%w: gave up after %d attempts: %w", tx.orUnknown(err), try+1, ended)
		}
	}
}

// prepare makes the request, unless an earlier Commit has made it and its token still holds.
func (tx *Tx) prepare(ctx context.Context) error {
	if tx.token != "" && time.Since(tx.first) > tokenTime {
		if tx.unknown {
			return fmt.Errorf("%w: the first attempt was %s ago, longer than its request token is remembered: read the items to find out",
				ErrUnknownOutcome, time.Since(tx.first).Round(time.Second))
		}
		tx.token = ""
	}
	if tx.token != "" && len(tx.problems) == 0 {
		return nil
	}
	if len(tx.problems) == 0 {
		read := func(aggregate string) (int64, error) { return tx.readCounter(ctx, aggregate) }
		if err := tx.numberEvents(read); err != nil {
			return err
		}
	}
	return tx.renew()
}

// renew makes a new request from the actions as they are numbered now. Its token is new too: it stands
// for exactly these parameters.
func (tx *Tx) renew() error {
	items, err := tx.build()
	if err != nil {
		return err
	}
	tx.token = rand.Text()
	tx.input = dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: &tx.token}
	tx.first = time.Now()
	return nil
}

// send makes one attempt and returns what its error means. The SDK's own retries are turned off, but for
// a wrong clock: an attempt whose outcome is unknown must not hide behind a later one with a definite error.
func (tx *Tx) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	_, err := tx.outbox.client.TransactWriteItems(ctx, &tx.input, withoutRetries...)
	if err == nil {
		return nil
	}
	return classify(err, tx.input.TransactItems)
}

var withoutRetries = []func(*dynamodb.Options){func(o *dynamodb.Options) { o.Retryer = clockRetryer{} }}

// clockRetryer lets the SDK send a request once more when it was refused for the time of its signature, as
// after a frozen environment wakes up with a wrong clock. The SDK has corrected the clock by then, and
// what was refused has no effect.
type clockRetryer struct{ aws.NopRetryer }

// IsErrorRetryable implements aws.Retryer. Of the errors that DynamoDB answers, the SDK itself marks those
// of a wrong clock as retryable, and no other.
func (clockRetryer) IsErrorRetryable(err error) bool {
	var answer smithy.APIError
	var marked interface{ RetryableError() bool }
	return errors.As(err, &answer) && errors.As(err, &marked) && marked.RetryableError()
}

// MaxAttempts implements aws.Retryer.
func (clockRetryer) MaxAttempts() int { return 2 }

// RetryDelay implements aws.Retryer.
func (clockRetryer) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

// retry reports whether another attempt may succeed where this one failed with the given error, and notes
// whether the outcome is known. It returns the error, in place of a lost race's that of the race.
func (tx *Tx) retry(err error) (again bool, _ error) {
	var condition *ConditionFailedError
	switch {
	case errors.Is(err, ErrUnknownOutcome):
		tx.unknown = true
		return true, err
	case errors.Is(err, ErrConflict), errors.Is(err, ErrThrottled):
		return true, err
	case errors.As(err, &condition):
		// DynamoDB answers a token whose transaction was committed with success, so this one was not.
		tx.unknown = false
		return tx.lostRace(condition)
	}
	return false, err
}

// lostRace reports whether only counters failed. It takes their true versions from the refusal, numbers
// the events anew and renews the request: the old one can never succeed, for a counter only grows.
func (tx *Tx) lostRace(condition *ConditionFailedError) (bool, error) {
	stored := map[string]int64{}
	own := &ConditionFailedError{}
	for _, f := range condition.Failed {
		if f.Index < len(tx.actions) {
			own.Failed = append(own.Failed, f)
			continue
		}
		c := tx.counters[f.Index-len(tx.actions)]
		version, err := versionOf(f.Item)
		if err != nil {
			return false, err
		}
		stored[c.aggregate] = version
	}
	if len(own.Failed) > 0 {
		return false, own
	}
	for _, c := range tx.counters {
		if _, ok := stored[c.aggregate]; !ok {
			stored[c.aggregate] = c.from
		}
	}
	err := tx.numberEvents(func(aggregate string) (int64, error) { return stored[aggregate], nil })
	if err == nil {
		err = tx.renew()
	}
	if err != nil {
		return false, err
	}
	return true, fmt.Errorf("%w: other writers took the next version first", ErrConflict)
}

// orUnknown keeps a later error, which it only quotes, from being taken for the transaction's outcome
// while that is unknown.
func (tx *Tx) orUnknown(err error) error {
	if tx.unknown && !errors.Is(err, ErrUnknownOutcome) {
		return fmt.Errorf("%w: an attempt was not answered; then: %s", ErrUnknownOutcome, err.Error())
	}
	return err
}

// errCommitTime is a deadline of our own.
var errCommitTime = fmt.Errorf("%w: %s is the most for one commit", context.DeadlineExceeded, commitTime)

// pause waits before the next attempt. It returns the context's error if that ends first, or one of the
// kind when there is no time left for another attempt.
func pause(ctx context.Context, end time.Time, try int) error {
	bound := min(firstPause<<min(try, 10), longestPause)
	timer := time.NewTimer(min(mathrand.N(bound), time.Until(end)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !time.Now().Before(end) {
		return errCommitTime
	}
	return nil
}

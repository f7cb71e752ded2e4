package outbox_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// canceled is a cancellation with these codes, one an action.
func canceled(codes ...string) error {
	reasons := make([]types.CancellationReason, len(codes))
	for i := range codes {
		reasons[i].Code = &codes[i]
	}
	return dynamotest.Canceled(reasons...)
}

// commitOnce commits an order and its event through a client whose calls fail first with the given errors, each
// before or after the commit took place.
func commitOnce(ctx context.Context, t *testing.T, after bool, errs ...error) (*client, error) {
	t.Helper()
	c := &client{DB: newDB()}
	c.answer = func(call int, in *dynamodb.TransactWriteItemsInput) (bool, error) {
		if call > len(errs) {
			return false, nil
		}
		if after {
			if _, err := c.DB.TransactWriteItems(ctx, in); err != nil {
				return true, err
			}
		}
		return true, errs[call-1]
	}
	tx := outbox.New(c, config).Begin(ctx)
	tx.Put(order("o1"))
	tx.Append(created())
	return c, tx.Commit(ctx)
}

func TestRetriesKeepTheTokenAndWriteOnce(t *testing.T) {
	tests := map[string]struct {
		after bool
		err   error
	}{
		"conflict":               {false, canceled("None", "TransactionConflict")},
		"throttled transaction":  {false, canceled("ThrottlingError", "None")},
		"provisioned capacity":   {false, canceled("ProvisionedThroughputExceeded", "None")},
		"throttled request":      {false, &types.ProvisionedThroughputExceededException{}},
		"request limit":          {false, &types.RequestLimitExceeded{}},
		"in progress":            {false, &types.TransactionInProgressException{}},
		"500 before commit":      {false, &types.InternalServerError{}},
		"500 after commit":       {true, &types.InternalServerError{}},
		"timeout before commit":  {false, context.DeadlineExceeded},
		"timeout after commit":   {true, context.DeadlineExceeded},
		"connection lost before": {false, errors.New("connection reset by peer")},
		"connection lost after":  {true, errors.New("connection reset by peer")},
		"not sent, says the SDK": {true, &smithy.OperationError{Err: &smithyhttp.RequestSendError{Err: io.EOF}}},
		"canceled, says the SDK": {true, &smithy.OperationError{Err: &aws.RequestCanceledError{Err: io.EOF}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := commitOnce(t.Context(), t, tt.after, tt.err, tt.err, tt.err)
				if err != nil {
					t.Fatal(err)
				}
				if len(c.tokens) != 4 || len(slices.Compact(c.tokens)) != 1 {
					t.Errorf("tokens %v, want the same four times", c.tokens)
				}
				if orders, events := c.Items(ordersTable), c.Items(outboxTable); len(orders) != 1 || len(events) != 1 {
					t.Errorf("%d orders and %d events, want one each", len(orders), len(events))
				}
			})
		})
	}
}

func TestRefusalsAreNotRetried(t *testing.T) {
	refused := &types.ResourceNotFoundException{Message: aws.String("no such table")}
	tests := map[string]struct{ err, want error }{
		"condition":                            {canceled("None", "ConditionalCheckFailed"), outbox.ErrConditionFailed},
		"a condition beside a conflict":        {canceled("TransactionConflict", "ConditionalCheckFailed"), outbox.ErrConditionFailed},
		"a validation error beside a conflict": {canceled("TransactionConflict", "ValidationError"), nil},
		"a reason not known":                   {canceled("None", "Whatever"), nil},
		"token mismatch":                       {&types.IdempotentParameterMismatchException{}, outbox.ErrTokenMismatch},
		"no such table":                        {refused, refused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := commitOnce(t.Context(), t, false, tt.err)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if len(c.tokens) != 1 {
				t.Errorf("%d calls, want 1", len(c.tokens))
			}
		})
	}
}

func TestGivingUp(t *testing.T) {
	lost := errors.New("connection reset by peer")
	conflict := canceled("None", "TransactionConflict")
	tests := map[string]struct {
		first, then  error
		want, absent error
	}{
		"conflict":              {conflict, conflict, outbox.ErrConflict, outbox.ErrUnknownOutcome},
		"throttled":             {&types.RequestLimitExceeded{}, &types.RequestLimitExceeded{}, outbox.ErrThrottled, outbox.ErrUnknownOutcome},
		"no answer":             {lost, lost, outbox.ErrUnknownOutcome, outbox.ErrConflict},
		"no answer, conflict":   {lost, conflict, outbox.ErrUnknownOutcome, outbox.ErrConflict},
		"no answer, throttled":  {lost, &types.RequestLimitExceeded{}, outbox.ErrUnknownOutcome, outbox.ErrThrottled},
		"in progress, conflict": {&types.TransactionInProgressException{}, conflict, outbox.ErrUnknownOutcome, outbox.ErrConflict},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				start := time.Now()
				errs := slices.Repeat([]error{tt.then}, 1000)
				errs[0] = tt.first
				_, err := commitOnce(ctx, t, false, errs...)
				if !errors.Is(err, tt.want) || errors.Is(err, tt.absent) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %v without %v", err, tt.want, tt.absent)
				}
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("gave up after %s, the deadline was 10s", took)
				}
			})
		})
	}
}

func TestCommitEndsWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := commitOnce(t.Context(), t, false, slices.Repeat([]error{canceled("TransactionConflict")}, 10_000)...)
		if !errors.Is(err, outbox.ErrConflict) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %s, want ErrConflict after a minute", err, time.Since(start))
		}
	})
}

// A request that never returns must leave time for asking again.
func TestLostRequestIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &hanging{DB: newDB()}
		tx := outbox.New(c, config).Begin(t.Context())
		tx.Append(created())
		if err := tx.Commit(t.Context()); err != nil || c.calls != 2 {
			t.Errorf("%v after %d calls, want success after 2", err, c.calls)
		}
	})
}

type hanging struct {
	*dynamotest.DB
	calls int
}

func (h *hanging) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	if h.calls++; h.calls > 1 {
		return h.DB.TransactWriteItems(ctx, in, options...)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestUnknownOutcomeIsResolvedByCommittingAgain(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, 8 * time.Minute, 20 * time.Minute} {
		t.Run(wait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &client{DB: newDB()}
				ctx, cancel := context.WithCancel(t.Context())
				c.answer = func(call int, in *dynamodb.TransactWriteItemsInput) (bool, error) {
					if call > 1 {
						return false, nil
					}
					defer cancel()
					_, err := c.DB.TransactWriteItems(ctx, in)
					return true, errors.Join(err, context.Canceled)
				}
				tx := outbox.New(c, config).Begin(ctx)
				tx.Put(order("o1"))
				tx.Append(created())
				if err := tx.Commit(ctx); !errors.Is(err, outbox.ErrUnknownOutcome) {
					t.Fatalf("got %v, want ErrUnknownOutcome", err)
				}
				time.Sleep(wait)
				err := tx.Commit(t.Context())
				if wait < 9*time.Minute {
					if err != nil || c.tokens[0] != c.tokens[1] {
						t.Errorf("second commit: %v, tokens %v", err, c.tokens)
					}
				} else if !errors.Is(err, outbox.ErrUnknownOutcome) || len(c.tokens) != 1 {
					t.Errorf("second commit after the token's time: %v, %d calls", err, len(c.tokens))
				}
				if events := c.Items(outboxTable); len(events) != 1 {
					t.Errorf("%d events, want 1", len(events))
				}
			})
		})
	}
}

func TestCommitAgainAfterADefiniteFailureAndTheTokensTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{DB: newDB(), answer: func(call int, _ *dynamodb.TransactWriteItemsInput) (bool, error) {
			if call == 1 {
				return true, &types.ResourceNotFoundException{}
			}
			return false, nil
		}}
		tx := outbox.New(c, config).Begin(t.Context())
		tx.Append(created())
		if err := tx.Commit(t.Context()); err == nil {
			t.Fatal("want an error")
		}
		time.Sleep(time.Hour)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.tokens[0] == c.tokens[1] {
			t.Error("a token was used again after its time")
		}
	})
}

func TestCommitOnAnEndedContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := commitOnce(ctx, t, false)
	if !errors.Is(err, context.Canceled) || errors.Is(err, outbox.ErrUnknownOutcome) || len(c.tokens) != 0 {
		t.Errorf("got %v after %d calls", err, len(c.tokens))
	}
}

func TestFailedConditionNamesTheAction(t *testing.T) {
	_, err := commitOnce(t.Context(), t, false, canceled("ConditionalCheckFailed", "None"))
	if want := `outbox: commit: condition failed: action[0] (Put on "orders")`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// DynamoDB answers the token of a committed transaction with success: a condition that fails after a lost
// answer says that nothing was written.
func TestFailedConditionSettlesALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := commitOnce(t.Context(), t, false, errors.New("connection reset by peer"), canceled("ConditionalCheckFailed", "None"))
		if !errors.Is(err, outbox.ErrConditionFailed) || errors.Is(err, outbox.ErrUnknownOutcome) {
			t.Errorf("got %v, want ErrConditionFailed alone", err)
		}
	})
}

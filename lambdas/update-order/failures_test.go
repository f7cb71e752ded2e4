package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// cancelledFor returns DynamoDB's answer to a transaction that it did not carry out, for the reason given for its
// second action, the update of the order.
func cancelledFor(code string) error {
	return &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
		{Code: aws.String("None")}, {Code: &code},
	}}
}

// TestFailures: what DynamoDB may answer, and what the client is told. Time is virtual: Commit tries again.
func TestFailures(t *testing.T) {
	throttled := &types.ProvisionedThroughputExceededException{}
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "secret", Fault: smithy.FaultClient}
	for name, tc := range map[string]struct {
		read, write error
		status      int
		code        string
	}{
		"somebody was first":           {nil, cancelledFor("ConditionalCheckFailed"), 412, "ORDER_CHANGED"},
		"a conflict that does not end": {nil, cancelledFor("TransactionConflict"), 503, "TRY_AGAIN"},
		"throttling of the write":      {nil, cancelledFor("ThrottlingError"), 503, "TRY_AGAIN"},
		"throttling of the read":       {throttled, nil, 503, "TRY_AGAIN"},
		"a read that takes too long":   {context.DeadlineExceeded, nil, 503, "TRY_AGAIN"},
		"no answer to the write":       {nil, errors.New("connection reset"), 503, "OUTCOME_UNKNOWN"},
		"no permission to read":        {denied, nil, 500, "INTERNAL"},
		"no permission to write":       {nil, denied, 500, "INTERNAL"},
		"an invalid write":             {nil, cancelledFor("ValidationError"), 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				d := &db{order: tea(created, 1), read: tc.read}
				if tc.write != nil {
					d.write = func(*dynamodb.TransactWriteItemsInput) error { return tc.write }
				}
				begin := time.Now()
				got, err := d.handler().handle(ctx, patch("o-1", to(confirmed), "If-Match", `"1"`))
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took > 9*time.Second {
					t.Errorf("it took %s of 10 s, too long to answer", took)
				}
				wantProblem(t, got, tc.status, tc.code, "")
				if strings.Contains(got.Body, "secret") {
					t.Errorf("the answer tells what DynamoDB said: %s", got.Body)
				}
				want := ""
				if tc.status == http.StatusServiceUnavailable {
					want = "1"
				}
				if got.Headers["Retry-After"] != want {
					t.Errorf("Retry-After is %q, want %q", got.Headers["Retry-After"], want)
				}
			})
		})
	}
}

// TestConflictThatPasses shows that a conflict that passes is no failure.
func TestConflictThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &db{order: tea(created, 1)}
		d.write = func(*dynamodb.TransactWriteItemsInput) error {
			if len(d.writes) < 3 {
				return cancelledFor("TransactionConflict")
			}
			return nil
		}
		got, err := d.handler().handle(t.Context(), patch("o-1", to(confirmed), "If-Match", `"1"`))
		if err != nil || got.StatusCode != http.StatusOK {
			t.Errorf("answer is %d %s, %v, want 200", got.StatusCode, got.Body, err)
		}
	})
}

// TestWireNamesWhatIsMissing: a function that is not wired says so when it starts, not at the first request.
func TestWireNamesWhatIsMissing(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	_, err := wire(t.Context())
	for _, name := range []string{"ORDERS_TABLE", "OUTBOX_TABLE", "OUTBOX_SOURCE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
	}
}

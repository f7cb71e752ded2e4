package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// The meaning of an error depends on what the SDK makes of an answer, or of none: these run the real
// client against a server that answers as DynamoDB does, or breaks off.
func TestWhatTheSDKsErrorsMean(t *testing.T) {
	refuse := func(status int, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}`, kind)
		}
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	garbled := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"`) }
	tests := map[string]struct {
		answer http.HandlerFunc
		want   error // nil: none of outbox's own
		calls  int   // the context ends after the second
	}{
		"validation":  {refuse(400, "ValidationException"), nil, 1},
		"denied":      {refuse(400, "AccessDeniedException"), nil, 1},
		"mismatch":    {refuse(400, "IdempotentParameterMismatchException"), outbox.ErrTokenMismatch, 1},
		"throttled":   {refuse(400, "ThrottlingException"), outbox.ErrThrottled, 2},
		"capacity":    {refuse(400, "ProvisionedThroughputExceededException"), outbox.ErrThrottled, 2},
		"in progress": {refuse(400, "TransactionInProgressException"), outbox.ErrUnknownOutcome, 2},
		"500":         {refuse(500, "InternalServerError"), outbox.ErrUnknownOutcome, 2},
		"503":         {refuse(503, "ServiceUnavailable"), outbox.ErrUnknownOutcome, 2},
		"broken off":  {hangUp, outbox.ErrUnknownOutcome, 2},
		"garbled":     {garbled, outbox.ErrUnknownOutcome, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				tt.answer(w, r)
			}))
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := &twice{Client: sdkClient(server.URL, signed), end: cancel}
			tx := outbox.New(c, config).Begin(ctx)
			tx.Append(created())
			err := tx.Commit(ctx)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if tt.want == nil && errors.Is(err, outbox.ErrUnknownOutcome) {
				t.Errorf("a definite refusal is reported as unknown: %v", err)
			}
			// A request more than calls would be a retry that the SDK made and Commit did not see.
			if got := int(requests.Load()); c.calls != tt.calls || got != tt.calls {
				t.Errorf("%d calls and %d requests, want %d", c.calls, got, tt.calls)
			}
		})
	}
}

// twice ends the context after the second call, so that Commit gives up between two attempts.
type twice struct {
	*dynamodb.Client
	calls int
	end   func()
}

func (c *twice) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	out, err := c.Client.TransactWriteItems(ctx, in, options...)
	if c.calls++; c.calls == 2 {
		c.end()
	}
	return out, err
}

// A frozen environment wakes up with a wrong clock: DynamoDB refuses the signature, the SDK learns the time
// from the answer, and the next request is right.
func TestCommitOutlivesAWrongClock(t *testing.T) {
	const wrong = time.Hour
	for _, code := range []string{"InvalidSignatureException", "RequestTimeTooSkewed"} {
		t.Run(code, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				now := time.Now().Add(wrong)
				w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
				if err != nil || now.Sub(signed).Abs() > 5*time.Minute {
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprintf(w, `{"__type":"com.amazon.coral.service#%s","message":"Signature expired"}`, code)
					return
				}
				fmt.Fprint(w, "{}")
			}))
			defer server.Close()
			tx := outbox.New(sdkClient(server.URL, signed), config).Begin(t.Context())
			tx.Append(created())
			if err := tx.Commit(t.Context()); err != nil {
				t.Errorf("commit: %v", err)
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}

func TestAnswerThatComesTooLateIsUnknown(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	tx := outbox.New(sdkClient(server.URL, signed), config).Begin(ctx)
	tx.Append(created())
	if err := tx.Commit(ctx); !errors.Is(err, outbox.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrUnknownOutcome and DeadlineExceeded", err)
	}
}

func TestRequestThatIsNeverSentIsNoUnknownOutcome(t *testing.T) {
	missing := errors.New("no credentials")
	tests := map[string]*dynamodb.Client{
		"credentials": sdkClient("http://127.0.0.1:1", func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, missing }),
		"region":      dynamodb.New(dynamodb.Options{}),
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			tx := outbox.New(c, config).Begin(t.Context())
			tx.Append(created())
			start := time.Now()
			err := tx.Commit(t.Context())
			var operation *smithy.OperationError
			if !errors.As(err, &operation) || errors.Is(err, outbox.ErrUnknownOutcome) {
				t.Errorf("got %v, want the SDK's error as it is", err)
			}
			if time.Since(start) > 20*time.Second {
				t.Error("it was retried")
			}
		})
	}
}

func signed(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
}

func sdkClient(url string, credentials aws.CredentialsProviderFunc) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{Region: "eu-central-1", BaseEndpoint: &url, Credentials: credentials})
}

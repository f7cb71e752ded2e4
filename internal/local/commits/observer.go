package commits

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Config holds what an observer needs.
type Config struct {
	// Caller returns who has signed a request: the logical id of a function, the session of another role, or "" for the
	// developer.
	Caller func(*http.Request) string
	// Known reports whether the run knows an event with that id.
	Known func(eventID string) bool
	// Added is called with each event that is added to an outbox.
	Added func(hop.Added)
	// Sink receives a hop of stage hop.Effect for each write of a function that names events.
	Sink hop.Sink
}

// Wrap returns a handler that reports what is committed in next, the endpoint of DynamoDB.
func (c Config) Wrap(next http.Handler) http.Handler {
	return &observer{Config: c, next: next, tokens: map[string]bool{}}
}

// maxTokens is how many tokens of transactions an observer remembers: far more than come in the ten minutes of their validity.
const maxTokens = 100_000

// An observer is a handler in front of DynamoDB.
type observer struct {
	Config
	next http.Handler

	mu     sync.Mutex
	tokens map[string]bool // of transactions that were committed
}

// writes are the operations that change items.
var writes = []string{"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}

func (o *observer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, isData := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	if !isData || !slices.Contains(writes, operation) {
		o.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	o.next.ServeHTTP(answer, r)
	if answer.status == http.StatusOK {
		o.report(operation, o.Caller(r), body)
	}
}

// report reports what a write that was committed means.
func (o *observer) report(operation, caller string, body []byte) {
	var request request
	if json.Unmarshal(body, &request) != nil || o.isRepeated(request.ClientRequestToken) {
		return
	}
	now, items := time.Now(), request.items()
	var named []string
	for _, item := range items {
		if added, ok := item.event(); ok {
			added.At, added.By, added.With = now, caller, tables(items)
			o.Added(added)
			continue
		}
		for _, id := range item.candidates() {
			if !slices.Contains(named, id) && o.Known(id) {
				named = append(named, id)
			}
		}
	}
	if caller != "" && len(named) > 0 {
		o.Sink(hop.Hop{
			At: now, Stage: hop.Effect, Resource: caller, Outcome: hop.OK, Count: len(items), EventIDs: named,
			Detail: operation + " " + strings.Join(tables(items), ", "),
		})
	}
}

// isRepeated reports whether a transaction with that token was committed before: DynamoDB then answers with success, and does
// nothing. Source: DynamoDB API reference, TransactWriteItems, ClientRequestToken.
func (o *observer) isRepeated(token string) bool {
	if token == "" {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tokens[token] {
		return true
	}
	if len(o.tokens) == maxTokens {
		clear(o.tokens)
	}
	o.tokens[token] = true
	return false
}

// A statusWriter keeps the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
)

// Function returns a handler that injects the faults of functions in front of api, the Runtime API of an execution
// environment.
func (i *Injector) Function(env functions.Environment, api http.Handler) http.Handler {
	return &function{Injector: i, env: env, next: api}
}

// A function is an execution environment, which has one invocation at a time.
type function struct {
	*Injector
	env  functions.Environment
	next http.Handler

	mu      sync.Mutex
	started bool
	current invocation
}

// An invocation is what the environment works on.
type invocation struct {
	subjects     []subject // one for each message, or one for the request
	batch        bool      // of messages
	willBeKilled bool      // the environment is killed before the invocation ends
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocation/next"):
		f.handleNext(w, r)
	case strings.HasSuffix(r.URL.Path, "/response"):
		f.handleResponse(w, r)
	default:
		f.next.ServeHTTP(w, r)
	}
}

// handleNext passes on the next invocation unless a fault prevents it.
func (f *function) handleNext(w http.ResponseWriter, r *http.Request) {
	if f.first() && f.failsInit(r) {
		return
	}
	given := newRecordedResponse()
	f.next.ServeHTTP(given, r)
	if r.Context().Err() != nil {
		return
	}
	if f.isIdle() { // now, not when the function asked
		f.begin(invocation{})
		given.passOn(w)
		return
	}
	in := f.readInvocation(given.body.Bytes())
	switch {
	case f.anyFires(FunctionKillBefore, in.subjects):
		f.env.Kill()
		return
	case f.losesInvocation(in) && f.anyFires(FunctionTimeout, in.subjects):
		<-r.Context().Done()
		return
	case f.anyFires(FunctionOutOfMemory, in.subjects):
		in.willBeKilled = true
		time.AfterFunc(time.Duration(f.pick(FunctionOutOfMemory, in.subjects[0], 30))*time.Millisecond, f.env.Kill)
	}
	f.begin(in)
	given.passOn(w)
}

func (f *function) begin(in invocation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = in
}

func (f *function) first() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.started
	f.started = true
	return first
}

// failsInit injects the faults of a start and reports whether they ended the process.
func (f *function) failsInit(r *http.Request) bool {
	s := subject{}.at(f.env.Function)
	if f.fires(FunctionInitFailure, s) {
		f.env.Kill()
		return true
	}
	if f.fires(FunctionSlowStart, s) {
		f.wait(r.Context(), slowFor)
	}
	return r.Context().Err() != nil
}

// losesInvocation reports which of its two forms a timeout takes: the invocation is lost, or the response is held.
func (f *function) losesInvocation(in invocation) bool {
	return f.pick(FunctionTimeout, in.subjects[0], 2) == 0
}

// handleResponse passes on the function's response unless a fault prevents it.
func (f *function) handleResponse(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	in := f.current
	f.mu.Unlock()
	if len(in.subjects) == 0 {
		f.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process has ended
	}
	switch {
	case in.willBeKilled || f.anyFires(FunctionKillAfterCommit, in.subjects):
		f.env.Kill()
		return
	case f.anyFires(FunctionKillAfterResponse, in.subjects):
		// The function learns that its response was accepted. For everybody else there was none.
		const accepted = `{"status":"OK"}`
		w.Header().Set("Content-Length", strconv.Itoa(len(accepted)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, accepted)
		_ = http.NewResponseController(w).Flush()
		f.env.Kill()
		return
	case !f.losesInvocation(in) && f.anyFires(FunctionTimeout, in.subjects):
		<-r.Context().Done()
		return
	case in.batch && f.anyFires(FunctionMalformedResponse, in.subjects):
		body = f.malformedResponse(body, in.subjects[0])
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	f.next.ServeHTTP(w, r)
}

// The responses to a batch that replace the function's own: those with which the whole batch counts as failed for
// Lambda, and those without a list of failures, which count as a success.
// Source: Lambda developer guide, services-sqs-errorhandling, "Success and failure conditions".
var (
	malformed = [][]byte{
		[]byte(`{"batchItemFailures":[`),
		[]byte(`{"batchItemFailures":[{"itemIdentifier":"injected: the id of no message"}]}`),
		[]byte(`{"batchItemFailures":[{"itemIdentifier":""}]}`),
	}
	withoutFailureList = [][]byte{[]byte(`{}`), []byte(`null`)}
)

// malformedResponse returns another response to a batch. Its list of failures is missing only where it was empty:
// no stack could survive a function that reports success for a message that failed.
func (f *function) malformedResponse(response []byte, s subject) []byte {
	var original struct {
		BatchItemFailures []json.RawMessage `json:"batchItemFailures"`
	}
	forms := malformed
	if json.Unmarshal(response, &original) == nil && len(original.BatchItemFailures) == 0 {
		forms = slices.Concat(malformed, withoutFailureList)
	}
	return forms[f.pick(FunctionMalformedResponse, s, len(forms))]
}

// readInvocation returns the subjects of the payload with which the function is invoked.
func (f *function) readInvocation(payload []byte) invocation {
	var event struct {
		Records []struct {
			Body string
		}
		HTTPMethod string
		Path       string
	}
	_ = json.Unmarshal(payload, &event) // a payload of any other form has no key
	if len(event.Records) == 0 {
		s := subject{key: f.names.replaceUnstableIDs(strings.TrimSpace(event.HTTPMethod + " " + event.Path))}
		return invocation{subjects: []subject{s.at(f.env.Function)}}
	}
	in := invocation{batch: true}
	for _, record := range event.Records {
		in.subjects = append(in.subjects, f.names.inBody(record.Body).at(f.env.Function))
	}
	return in
}

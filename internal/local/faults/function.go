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

// Function puts the faults of functions in front of the Runtime API of an execution environment.
func (i *Injector) Function(env functions.Environment, api http.Handler) http.Handler {
	return &function{Injector: i, env: env, next: api}
}

// function is an execution environment, which has one invocation at a time.
type function struct {
	*Injector
	env  functions.Environment
	next http.Handler

	mu      sync.Mutex
	started bool
	current invocation
}

// invocation is what the environment is at work on.
type invocation struct {
	subjects []subject // one a message, or the request
	batch    bool      // of messages
	doomed   bool      // it will be killed before it is done
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

// handleNext passes on the next invocation, or does not.
func (f *function) handleNext(w http.ResponseWriter, r *http.Request) {
	if f.first() && f.failsInit(r) {
		return
	}
	given := newAnswer()
	f.next.ServeHTTP(given, r)
	if r.Context().Err() != nil {
		return
	}
	in := f.read(given.body.Bytes())
	switch {
	case f.anyFires(FunctionKillBefore, in.subjects):
		f.env.Kill()
		return
	case f.losesInvocation(in) && f.anyFires(FunctionTimeout, in.subjects):
		<-r.Context().Done()
		return
	case f.anyFires(FunctionOutOfMemory, in.subjects):
		in.doomed = true
		time.AfterFunc(time.Duration(f.pick(FunctionOutOfMemory, in.subjects[0], 30))*time.Millisecond, f.env.Kill)
	}
	f.mu.Lock()
	f.current = in
	f.mu.Unlock()
	given.passOn(w)
}

func (f *function) first() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.started
	f.started = true
	return first
}

// failsInit breaks the start of the process, and says whether that was its end.
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

// losesInvocation chooses which of the two ways a timeout takes.
func (f *function) losesInvocation(in invocation) bool {
	return f.pick(FunctionTimeout, in.subjects[0], 2) == 0
}

// handleResponse takes the function's response to its host, or does not.
func (f *function) handleResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off: the process has ended
	}
	f.mu.Lock()
	in := f.current
	f.mu.Unlock()
	switch {
	case in.doomed || f.anyFires(FunctionKillAfterCommit, in.subjects):
		f.env.Kill()
		return
	case f.anyFires(FunctionKillAfterResponse, in.subjects):
		// The function is told that its response was taken. As far as anyone else can see, it never was.
		const taken = `{"status":"OK"}`
		w.Header().Set("Content-Length", strconv.Itoa(len(taken)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, taken)
		_ = http.NewResponseController(w).Flush()
		f.env.Kill()
		return
	case len(in.subjects) > 0 && !f.losesInvocation(in) && f.anyFires(FunctionTimeout, in.subjects):
		<-r.Context().Done()
		return
	case in.batch && f.anyFires(FunctionMalformedResponse, in.subjects):
		body = f.garbled(body, in.subjects[0])
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	f.next.ServeHTTP(w, r)
}

// The responses to a batch that take the place of the function's: those that make Lambda take the whole batch
// for failed, and those without a list of failures, which Lambda takes for a success.
// Source: Lambda developer guide, services-sqs-errorhandling, "Success and failure conditions".
var (
	malformed = [][]byte{
		[]byte(`{"batchItemFailures":[`),
		[]byte(`{"batchItemFailures":[{"itemIdentifier":"injected: the id of no message"}]}`),
		[]byte(`{"batchItemFailures":[{"itemIdentifier":""}]}`),
	}
	listless = [][]byte{[]byte(`{}`), []byte(`null`)}
)

// garbled is another response to a batch. The list of failures may be missing only where it was empty: a
// function that says that all went well when it did not is no fault that anything could survive.
func (f *function) garbled(response []byte, s subject) []byte {
	var said struct {
		BatchItemFailures []json.RawMessage `json:"batchItemFailures"`
	}
	forms := malformed
	if json.Unmarshal(response, &said) == nil && len(said.BatchItemFailures) == 0 {
		forms = slices.Concat(malformed, listless)
	}
	return forms[f.pick(FunctionMalformedResponse, s, len(forms))]
}

// read names what the function is invoked with.
func (f *function) read(payload []byte) invocation {
	var event struct {
		Records []struct {
			Body string
		}
		HTTPMethod string
		Path       string
	}
	_ = json.Unmarshal(payload, &event) // a payload of any other form has no name
	if len(event.Records) == 0 {
		s := subject{key: f.names.stable(strings.TrimSpace(event.HTTPMethod + " " + event.Path))}
		return invocation{subjects: []subject{s.at(f.env.Function)}}
	}
	in := invocation{batch: true}
	for _, record := range event.Records {
		in.subjects = append(in.subjects, f.names.inBody(record.Body).at(f.env.Function))
	}
	return in
}

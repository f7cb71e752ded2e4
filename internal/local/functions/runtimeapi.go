package functions

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// MaxResponse is the largest response of a function, in bytes: 6 MB and, as Lambda has it, 100 more.
// Source: Lambda developer guide, gettingstarted-limits; the exact number is in Lambda's own error.
const MaxResponse = 6<<20 + 100

// An invocation is one event on its way through a process.
type invocation struct {
	id       string
	arn      string // of the function, or of its version or alias
	deadline time.Time
	trace    string // X-Ray tracing header
	payload  []byte
	cause    hop.Cause

	started  chan struct{} // closed when its start is logged
	answered chan struct{} // closed when response or failure is set
	response []byte
	failure  *FunctionError
}

func newInvocation(arn string, payload []byte, c hop.Cause, deadline time.Time, traced bool) *invocation {
	return &invocation{
		id:       uuid.NewString(),
		arn:      arn,
		deadline: deadline,
		trace:    newTrace(traced),
		payload:  payload,
		cause:    c,
		started:  make(chan struct{}),
		answered: make(chan struct{}),
	}
}

// newTrace begins a trace: no caller here brings one along.
// Source: X-Ray developer guide, xray-concepts, "Tracing header".
func newTrace(sampled bool) string {
	var random [20]byte
	rand.Read(random[:])
	flag := 0
	if sampled {
		flag = 1
	}
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=%d",
		time.Now().Unix(), hex.EncodeToString(random[:12]), hex.EncodeToString(random[12:]), flag)
}

// runtimeAPI serves the process.
// Source: Lambda developer guide, runtimes-api.
func (e *environment) runtimeAPI() http.Handler {
	const root = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"invocation/next", e.handleNext)
	mux.HandleFunc("POST "+root+"invocation/{id}/response", e.handleResponse)
	mux.HandleFunc("POST "+root+"invocation/{id}/error", e.handleError)
	mux.HandleFunc("POST "+root+"init/error", e.handleInitError)
	return mux
}

// handleNext answers when there is an invocation.
func (e *environment) handleNext(w http.ResponseWriter, r *http.Request) {
	select {
	case e.asks <- struct{}{}:
	default:
	}
	select {
	case inv := <-e.invocations:
		e.mu.Lock()
		e.current = inv
		e.mu.Unlock()
		e.fn.logStart(inv)
		close(inv.started)
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		header.Set("Lambda-Runtime-Invoked-Function-Arn", inv.arn)
		header.Set("Lambda-Runtime-Trace-Id", inv.trace)
		// A runtime that cannot read it has ended, or will run into the timeout.
		_, _ = w.Write(inv.payload)
	case <-r.Context().Done():
	}
}

func (e *environment) handleResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxResponse+1))
	if err != nil {
		return // cut off: the process has ended, or will run into the timeout
	}
	if len(body) <= MaxResponse {
		e.answer(w, r, body, streamFailure(r.Trailer))
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // else the runtime sees a broken connection and not our answer
	message := fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponse)
	if e.settle(r.PathValue("id"), nil, &FunctionError{Type: TypeResponseTooLarge, Message: message}) {
		reply(w, http.StatusRequestEntityTooLarge, map[string]string{"errorType": typeResponseRejected, "errorMessage": message})
		return
	}
	refuse(w, r)
}

func (e *environment) handleError(w http.ResponseWriter, r *http.Request) {
	e.answer(w, r, nil, readFailure(r))
}

func (e *environment) handleInitError(w http.ResponseWriter, r *http.Request) {
	failure := readFailure(r)
	e.mu.Lock()
	e.initFailure = failure
	e.mu.Unlock()
	accept(w)
}

func (e *environment) reportedInitFailure() *FunctionError {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.initFailure
}

func (e *environment) answer(w http.ResponseWriter, r *http.Request, response []byte, failure *FunctionError) {
	if !e.settle(r.PathValue("id"), response, failure) {
		refuse(w, r)
		return
	}
	accept(w)
}

// settle records the answer to the current invocation. It reports false when that has another id.
func (e *environment) settle(id string, response []byte, failure *FunctionError) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.id != id {
		return false
	}
	e.current.response, e.current.failure = response, failure
	close(e.current.answered)
	e.current = nil
	return true
}

// readFailure reads the error that a runtime reports.
func readFailure(r *http.Request) *FunctionError {
	body, _ := io.ReadAll(io.LimitReader(r.Body, MaxResponse))
	return failure(r.Header.Get("Lambda-Runtime-Function-Error-Type"), body)
}

// streamFailure reads the error that a runtime reports after it began to send its response, or nil.
// Source: Lambda developer guide, runtimes-custom, "Response streaming".
func streamFailure(trailer http.Header) *FunctionError {
	kind := trailer.Get("Lambda-Runtime-Function-Error-Type")
	if kind == "" {
		return nil
	}
	body, _ := base64.StdEncoding.DecodeString(trailer.Get("Lambda-Runtime-Function-Error-Body"))
	return failure(kind, body)
}

func failure(kind string, body []byte) *FunctionError {
	var said struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(body, &said); err != nil {
		said.ErrorMessage = string(body)
	}
	for _, candidate := range []string{said.ErrorType, kind, TypeUnknown} {
		if candidate != "" {
			kind = candidate
			break
		}
	}
	return &FunctionError{Type: kind, Message: said.ErrorMessage}
}

func accept(w http.ResponseWriter) { reply(w, http.StatusAccepted, map[string]string{"status": "OK"}) }

func refuse(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusBadRequest, map[string]string{
		"errorType": typeBadRequestID, "errorMessage": "no invocation " + r.PathValue("id") + " is running",
	})
}

func reply(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

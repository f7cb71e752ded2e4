package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// maxBody limits the bytes of a guarded request: more than any of the services takes.
const maxBody = 32 << 20

// A protocol is how a guard reads the calls of one service and answers a denial.
type protocol struct {
	// requests returns what the call asks for: one request for each item of a transaction.
	requests func(a *Authority, operation string, body []byte) ([]iam.Request, error)
	// target is the prefix of X-Amz-Target before the operation.
	targets []string
	// errorType is the type of the error, and contentType that of the answer.
	errorType, contentType string
	status                 int
	// text returns the message of a denial.
	text func(*Denial) string
}

// GuardTables returns a handler that lets the calls of roles through to DynamoDB as far as their policies allow.
func (a *Authority) GuardTables(next http.Handler) http.Handler {
	return a.guard(dynamoDBProtocol, next)
}

// GuardBuses returns the same for EventBridge.
func (a *Authority) GuardBuses(next http.Handler) http.Handler {
	return a.guard(eventBridgeProtocol, next)
}

// guard returns a handler that answers what is denied, and passes on everything else.
func (a *Authority) guard(p protocol, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := a.caller(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		if err := a.checkCall(p, caller, r.Header.Get("X-Amz-Target"), body); err != nil {
			p.refuse(w, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// caller returns the session whose key signed the request. ok is false for the developer.
func (a *Authority) caller(r *http.Request) (session, bool) {
	_, rest, found := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !found {
		return session{}, false
	}
	key, _, _ := strings.Cut(rest, "/")
	a.mu.RLock()
	defer a.mu.RUnlock()
	s, ok := a.sessions[key]
	return s, ok
}

// Caller returns the principal that signed a request, with the keys that every request of it has.
func (a *Authority) Caller(r *http.Request) iam.Request {
	var request iam.Request
	s, isRole := a.caller(r)
	a.addContext(&request, s)
	if isRole {
		request.Principal = s.principal()
		return request
	}
	request.Principal.Account = cloud.Account
	request.Context.Set("aws:PrincipalType", "Account")
	return request
}

// Identity returns the ARN and the unique id of the session that signed the request. ok is false for the developer.
// Source: STS API reference, GetCallerIdentity.
func (a *Authority) Identity(r *http.Request) (arn, id string, ok bool) {
	s, ok := a.caller(r)
	if !ok {
		return "", "", false
	}
	roleID := nameOf(s.role)
	if known := a.role(s.role); known != nil {
		roleID = known.logicalID
	}
	return s.principal().Session, uniqueID(roleID) + ":" + s.name, true
}

// checkCall returns why a call is denied, or nil.
func (a *Authority) checkCall(p protocol, caller session, target string, body []byte) error {
	operation := target
	for _, prefix := range p.targets {
		operation = strings.TrimPrefix(operation, prefix)
	}
	requests, err := p.requests(a, operation, body)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if denied := a.check(caller, request); denied != nil {
			return denied
		}
	}
	return nil
}

// refuse answers a call that is denied, or that cannot be evaluated.
func (p protocol) refuse(w http.ResponseWriter, err error) {
	answer := p.refusal(err)
	w.Header().Set("Content-Type", p.contentType)
	// DynamoDB sends a checksum with every answer: its SDK writes a warning to the function's log where there is none.
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer.Body)), 10))
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

// A refusal is the answer to a call that is denied.
type refusal struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (p protocol) refusal(err error) refusal {
	message := "the local run cannot evaluate the permissions of this call: " + err.Error()
	var denied *Denial
	if errors.As(err, &denied) {
		message = p.text(denied)
	}
	body, _ := json.Marshal(map[string]string{"__type": p.errorType, "message": message, "Message": message})
	return refusal{Status: p.status, Body: body, Headers: map[string]string{"X-Amzn-RequestId": requestID()}}
}

// decode reads a request's JSON.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	return nil
}

package functionurl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A failure is why the URL itself answers, and not the function.
type failure struct {
	status  int
	kind    string // x-amzn-ErrorType, or empty
	message string // the body
	cause   error  // for the developer; it is not sent to the caller
}

func (f *failure) Error() string { return f.cause.Error() }

// The answers of Lambda itself: 403 and 502 as they are reported of AWS. The texts of the others are ours.
// Source: https://github.com/brikis98/devops-book/pull/12 and https://github.com/swift-cloud/swift-cloud/pull/16; Lambda developer
// guide, urls-configuration, "Throttling function URLs".
func forbidden(cause error) *failure {
	return &failure{http.StatusForbidden, "AccessDeniedException", `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`, cause}
}

func functionFailed(cause error) *failure {
	return &failure{http.StatusBadGateway, "", "Internal Server Error", cause}
}

// ServeHTTP answers one request and reports it in a hop.
func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received := time.Now()
	out, err := u.answer(w, r, received)
	var own *failure
	if errors.As(err, &own) {
		out = response{status: own.status, header: http.Header{"Content-Type": {jsonType}}, body: []byte(own.message)}
		if own.kind != "" {
			out.header.Set("X-Amzn-Errortype", own.kind)
		}
	}
	if u.cors != nil {
		u.cors.apply(r, out.header)
	}
	maps.Copy(w.Header(), out.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	// The request has had its effect even if the caller is gone.
	_, _ = w.Write(out.body)
	u.report(r, out.status, err, received)
}

// answer returns the function's response, or a *failure.
func (u *functionURL) answer(w http.ResponseWriter, r *http.Request, received time.Time) (response, error) {
	if u.cors != nil && isPreflight(r) {
		return response{status: http.StatusOK, header: http.Header{}}, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, functions.MaxRequest))
	if err != nil {
		return response{}, tooLarge(err)
	}
	if err := u.authorize(r, body); err != nil {
		return response{}, forbidden(err)
	}
	payload, err := json.Marshal(newEvent(u, r, body, received))
	if err != nil {
		return response{}, functionFailed(err)
	}
	// The invocation ends with the service, but not when the caller goes away.
	answer, err := u.service.config.Invoke(u.service.running, u.arn, payload)
	switch {
	case errors.Is(err, functions.ErrThrottled):
		return response{}, &failure{http.StatusTooManyRequests, "TooManyRequestsException", `{"Message":"Rate Exceeded."}`, err}
	case errors.Is(err, functions.ErrRequestTooLarge):
		return response{}, tooLarge(err)
	case err != nil:
		return response{}, functionFailed(err)
	}
	out, err := readAnswer(answer)
	if err != nil {
		return response{}, functionFailed(fmt.Errorf("malformed answer of the function: %w", err))
	}
	return out, nil
}

func tooLarge(cause error) *failure {
	return &failure{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", `{"Message":"Request Entity Too Large"}`, cause}
}

// authorize returns why the caller is not let in. The policy of a function counts for a URL without authorization too.
func (u *functionURL) authorize(r *http.Request, body []byte) error {
	c := &u.service.config
	switch {
	case u.signed && c.AuthorizeCaller != nil:
		return c.AuthorizeCaller(r, body, u.arn)
	case !u.signed && c.Authorize != nil:
		return c.Authorize(u.arn)
	}
	return nil
}

func (u *functionURL) report(r *http.Request, status int, err error, received time.Time) {
	detail := fmt.Sprintf("%s %s %d", r.Method, r.URL.EscapedPath(), status)
	if err != nil {
		detail += ": " + err.Error()
	}
	outcome := hop.OK
	if status >= http.StatusBadRequest {
		outcome = hop.Failed
	}
	now := time.Now()
	u.service.config.Sink(hop.Hop{
		At: now, Stage: hop.API, Resource: u.logicalID, Target: u.arn, Outcome: outcome, Latency: now.Sub(received), Count: 1, Detail: detail,
	})
}

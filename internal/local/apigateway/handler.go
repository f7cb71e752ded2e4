package apigateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// ServeHTTP answers one request and reports it in a hop.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, out, err := s.handle(w, r)
	header := w.Header()
	maps.Copy(header, out.header)
	header.Set("X-Amzn-Requestid", x.context.RequestID)
	header.Set("X-Amz-Apigw-Id", x.context.ExtendedRequestID)
	if x.traced && err == nil {
		header.Set("X-Amzn-Trace-Id", "Root="+x.context.XrayTraceID)
	}
	header.Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	// The request has had its effect even if the caller is gone.
	_, _ = w.Write(out.body)
	s.report(x, out, err)
}

// handle returns the response, and as error the reason for a response that the gateway itself made.
func (s *Service) handle(w http.ResponseWriter, r *http.Request) (*exchange, response, error) {
	at := s.api.locate(r.URL.EscapedPath())
	x := newExchange(r, at, &s.api)
	out, err := s.answer(w, x, at.stage != nil)
	if err == nil {
		return x, out, nil
	}
	var failure *gatewayError
	if !errors.As(err, &failure) {
		failure = internal(default5xx, err)
	}
	return x, s.respond(x, failure), failure
}

func (s *Service) answer(w http.ResponseWriter, x *exchange, staged bool) (response, error) {
	if !staged {
		return response{}, &gatewayError{kind: accessDenied, message: "Forbidden", cause: fmt.Errorf("no such stage or base path: the API is at %s", s.URL())}
	}
	var parts []string
	if path := strings.Trim(x.path, "/"); path != "" {
		parts = strings.Split(path, "/")
	}
	parameters := map[string]string{}
	found, m := s.api.root.match(x.request.Method, parts, parameters)
	if m == nil {
		return response{}, &gatewayError{kind: missingToken, message: "Missing Authentication Token", cause: errors.New("no such resource or method")}
	}
	x.route(found, m)
	if err := x.setPathParameters(parameters); err != nil {
		return response{}, err
	}
	if err := x.readBody(w); err != nil {
		return response{}, err
	}
	if err := s.authorizeCaller(x); err != nil {
		return response{}, err
	}
	if err := s.checkKey(x); err != nil {
		return response{}, err
	}
	if err := m.validate(x); err != nil {
		return response{}, err
	}
	// The integration ends with the service, but not when the caller goes away.
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.request.Context()))
	defer cancel()
	defer context.AfterFunc(s.running, cancel)()
	return m.serve(ctx, x)
}

// authorizeCaller returns the gateway response for a caller who is not let in.
func (s *Service) authorizeCaller(x *exchange) error {
	if s.config.AuthorizeCaller == nil || !x.method.signed {
		return nil
	}
	resource := x.context.APIID + "/" + x.stage.name + "/" + x.request.Method + x.path
	err := s.config.AuthorizeCaller(x.request, x.body, s.config.Cloud.ARN("execute-api", resource))
	if err == nil {
		return nil
	}
	refused := &gatewayError{kind: accessDenied, message: "Forbidden", cause: err}
	var named interface{ GatewayResponse() (kind, message string) }
	if errors.As(err, &named) {
		kind, message := named.GatewayResponse()
		refused.kind, refused.message = responseType(kind), message
	}
	return refused
}

func (s *Service) report(x *exchange, out response, err error) {
	resource := s.api.logicalID
	if x.method != nil {
		resource = x.method.logicalID
	}
	detail := fmt.Sprintf("%s %s %d", x.request.Method, x.path, out.status)
	if err != nil {
		detail += ": " + err.Error()
	}
	outcome := hop.OK
	if out.status >= http.StatusBadRequest {
		outcome = hop.Failed
	}
	now := time.Now()
	s.config.Sink(hop.Hop{
		At:       now,
		Stage:    hop.API,
		Resource: resource,
		Outcome:  outcome,
		Latency:  now.Sub(x.received),
		Count:    1,
		Detail:   detail,
	})
}

package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
)

// errNotHere reports that the API has no such operation in the local run.
var errNotHere = errors.New("not in the local run")

// ServeHTTP answers or refuses a request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := wire.Read(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.serve(w, request); err != nil {
		request.Fail(w, err)
	}
}

func (s *Service) serve(w http.ResponseWriter, r *wire.Request) error {
	known := s.apis[r.Service]
	if known != nil && !r.Signed {
		return &wire.Error{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token: it must be signed, with any key"}
	}
	err := errNotHere
	if known != nil {
		if err := r.CheckForm(); err != nil {
			return err
		}
		err = known.serve(w, r)
	}
	if errors.Is(err, errNotHere) {
		return s.refused.add(r)
	}
	return err
}

// operations are those of an API whose requests name them.
type operations map[string]operation

// An operation returns the answer to a request, a struct, or nil for an empty one.
type operation func(ctx context.Context, r *wire.Request) (any, error)

// on returns an operation that decodes its request and runs it.
func on[Request, Response any](do func(context.Context, Request) (Response, error)) operation {
	return func(ctx context.Context, r *wire.Request) (any, error) {
		var request Request
		if err := r.Decode(&request); err != nil {
			return nil, err
		}
		return do(ctx, request)
	}
}

func (o operations) serve(w http.ResponseWriter, r *wire.Request) error {
	do := o[r.Operation]
	if do == nil {
		return errNotHere
	}
	answer, err := do(r.Context(), r)
	if err != nil {
		return err
	}
	r.Answer(w, answer)
	return nil
}

// A passing passes requests on to the service's own endpoint.
type passing struct{ proxy *httputil.ReverseProxy }

func passOn(c *cloud.Cloud, service cloud.Service) passing {
	return passing{&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if target, err := url.Parse(c.Endpoint(service)); err == nil {
				r.SetURL(target)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		},
	}}
}

func (p passing) serve(w http.ResponseWriter, r *wire.Request) error {
	out := r.Clone(r.Context())
	out.Body = r.Reread()
	p.proxy.ServeHTTP(w, out)
	return nil
}

package faults

import (
	"bytes"
	"context"
	"net/http"
)

// A recordedResponse is an http.ResponseWriter that keeps the response.
type recordedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecordedResponse() *recordedResponse {
	return &recordedResponse{header: http.Header{}, status: http.StatusOK}
}

func (a *recordedResponse) Header() http.Header         { return a.header }
func (a *recordedResponse) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *recordedResponse) WriteHeader(status int)      { a.status = status }

// passOn writes the response to the client.
func (a *recordedResponse) passOn(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

// runToEnd serves the request to its end, even if the client goes away, and returns the response.
func runToEnd(h http.Handler, r *http.Request) *recordedResponse {
	a := newRecordedResponse()
	h.ServeHTTP(a, r.WithContext(context.WithoutCancel(r.Context())))
	return a
}

// dropConnection holds the connection for a while and then closes it without a response.
func (i *Injector) dropConnection(ctx context.Context) {
	i.wait(ctx, holdFor)
	panic(http.ErrAbortHandler)
}

package faults

import (
	"bytes"
	"context"
	"net/http"
)

// answer is an HTTP response that is kept.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}, status: http.StatusOK} }

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// passOn gives the response to the client.
func (a *answer) passOn(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

// execute serves the request to its end, even if the client goes away, and keeps the response.
func execute(h http.Handler, r *http.Request) *answer {
	a := newAnswer()
	h.ServeHTTP(a, r.WithContext(context.WithoutCancel(r.Context())))
	return a
}

// cut holds the connection for a while and breaks it without an answer.
func (i *Injector) cut(ctx context.Context) {
	i.wait(ctx, holdFor)
	panic(http.ErrAbortHandler)
}

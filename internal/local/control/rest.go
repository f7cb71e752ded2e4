package control

import (
	"context"
	"net/http"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
)

// A route answers an operation of a REST API. The request has the values of the path's variables.
type route func(w http.ResponseWriter, r *wire.Request) error

// routes are those of a REST API, by patterns of [http.ServeMux].
type routes struct{ mux *http.ServeMux }

// A call is a request on its way through the mux, which passes on no more than a context.
type call struct {
	request *wire.Request
	err     error
}

type callKey struct{}

func newRoutes(all map[string]route) routes {
	mux := http.NewServeMux()
	for pattern, do := range all {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(callKey{}).(*call)
			c.request.Request = r
			c.err = do(w, c.request)
		})
	}
	return routes{mux}
}

func (o routes) serve(w http.ResponseWriter, r *wire.Request) error {
	if _, pattern := o.mux.Handler(r.Request); pattern == "" {
		return errNotHere
	}
	c := &call{request: r, err: errNotHere} // a redirect to a clean path runs no route
	o.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	return c.err
}

// answering returns a route for an operation whose answer is a struct.
func answering(do func(r *wire.Request) (any, error)) route {
	return func(w http.ResponseWriter, r *wire.Request) error {
		answer, err := do(r)
		if err != nil {
			return err
		}
		r.Answer(w, answer)
		return nil
	}
}

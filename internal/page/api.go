package page

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/flow"
)

// maxBody is the longest body of a request of the page: an event on a bus has 1 MB at most, and JSON may escape it.
const maxBody = 4 << 20

// maxEvents is how many events one request may ask for.
const maxEvents = 500

// A flowResponse is the flow with its layouts.
type flowResponse struct {
	*flow.Graph
	Wide   flow.Layout `json:"wide"`
	Narrow flow.Layout `json:"narrow"`
}

// An aboutResponse says what the page shows and what it can do.
type aboutResponse struct {
	About
	Run bool `json:"run"`
}

// reads adds what the page may ask for.
func (s *Server) reads(mux *http.ServeMux) {
	b := s.backend
	mux.HandleFunc("GET /api/about", answer(func(*http.Request) (any, error) { return aboutResponse{b.About(), s.run != nil}, nil }))
	mux.HandleFunc("GET /api/flow", answer(func(r *http.Request) (any, error) {
		graph, err := b.Flow(r.Context())
		if err != nil {
			return nil, err
		}
		return flowResponse{graph, graph.Wide(), graph.Narrow()}, nil
	}))
	mux.HandleFunc("GET /api/events", answer(func(r *http.Request) (any, error) {
		q, err := query(r)
		if err != nil {
			return nil, err
		}
		return b.Events(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/events/{id}", answer(func(r *http.Request) (any, error) { return b.Event(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("GET /api/dead-letters", answer(func(r *http.Request) (any, error) { return b.DeadLetters(r.Context()) }))
	if s.run != nil {
		mux.HandleFunc("GET /api/methods", answer(func(r *http.Request) (any, error) { return s.run.Methods(r.Context()) }))
		mux.HandleFunc("GET /api/faults", answer(func(r *http.Request) (any, error) { return s.run.Faults(r.Context()) }))
	}
}

// writes adds what the page may change.
func (s *Server) writes(mux *http.ServeMux) {
	if s.backend.About().ReadOnly {
		return
	}
	type ids struct {
		IDs []string `json:"ids"`
	}
	handle(s, mux, "dead-letters/redrive", func(ctx context.Context, in ids) (any, error) { return s.backend.Redrive(ctx, in.IDs) })
	handle(s, mux, "dead-letters/discard", func(ctx context.Context, in ids) (any, error) { return s.backend.Discard(ctx, in.IDs) })
	if s.run == nil {
		return
	}
	type delivery struct {
		Event    string `json:"event"`
		Consumer string `json:"consumer"`
	}
	handle(s, mux, "send", func(ctx context.Context, in Request) (any, error) { return s.run.Send(ctx, in) })
	handle(s, mux, "publish", func(ctx context.Context, in Publication) (any, error) {
		id, err := s.run.Publish(ctx, in)
		return map[string]string{"id": id}, err
	})
	handle(s, mux, "deliver", func(ctx context.Context, in delivery) (any, error) {
		return struct{}{}, s.run.Deliver(ctx, in.Event, in.Consumer)
	})
	handle(s, mux, "faults", func(ctx context.Context, in FaultSwitch) (any, error) { return struct{}{}, s.run.SetFault(ctx, in) })
	handle(s, mux, "faults/heal", func(ctx context.Context, _ struct{}) (any, error) { return struct{}{}, s.run.Heal(ctx) })
}

// tokenHeader is the header in which the page sends the token back. Another page can neither read the token nor send such
// a header here.
const tokenHeader = "Outbox-Token"

// handle adds a request that changes something: with the token, and a JSON body with the fields of In and no others.
func handle[In any](s *Server, mux *http.ServeMux, path string, do func(context.Context, In) (any, error)) {
	mux.HandleFunc("POST /api/"+path, func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(s.token)) != 1 {
			refuse(w, http.StatusForbidden, errors.New("the token must be that of this page: load the page again"))
			return
		}
		var in In
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("the body must be JSON with the fields of this request: %w", err))
			return
		}
		answer(func(r *http.Request) (any, error) { return do(r.Context(), in) })(w, r)
	})
}

// A badRequest is the error for what a request asks for in a wrong way.
type badRequest struct{ error }

// answer returns a handler that answers with JSON.
func answer(get func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := get(r)
		switch {
		case errors.As(err, &badRequest{}):
			refuse(w, http.StatusBadRequest, err)
		case errors.Is(err, ErrNotFound):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusBadGateway, err)
		default:
			write(w, http.StatusOK, value)
		}
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	write(w, status, map[string]string{"error": err.Error()})
}

func write(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a browser that has gone away
}

// query reads the query of a list of events.
func query(r *http.Request) (EventQuery, error) {
	values := r.URL.Query()
	var problems []error
	number := func(name string, otherwise, most int) int {
		text := values.Get(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > most {
			problems = append(problems, fmt.Errorf("%s must be a whole number from 0 to %d, got %q", name, most, text))
		}
		return n
	}
	q := EventQuery{
		Text: values.Get("q"), Type: values.Get("type"), State: EventState(values.Get("state")),
		Offset: number("offset", 0, 1<<30), Limit: number("limit", 100, maxEvents),
	}
	if err := errors.Join(problems...); err != nil {
		return q, badRequest{err}
	}
	return q, nil
}

package page

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/guard"
)

//go:embed static
var static embed.FS

// index is the page itself.
var index = template.Must(template.ParseFS(static, "static/index.html"))

// A Server serves the page of one stack.
type Server struct {
	backend Backend
	run     Run // nil for a stack that is not on this machine
	token   string
	hub     *hub
}

// New returns a Server that shows the backend. run is nil for a stack that is not on this machine.
func New(backend Backend, run Run) *Server {
	return &Server{backend: backend, run: run, token: rand.Text(), hub: newHub(backend)}
}

// Listen listens on a port of 127.0.0.1, or where that is taken on one that the system chooses, as for 0.
func Listen(ctx context.Context, port int) (net.Listener, error) {
	var listen net.ListenConfig
	at := func(port int) (net.Listener, error) {
		return listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	l, err := at(port)
	if errors.Is(err, syscall.EADDRINUSE) {
		l, err = at(0)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the page: %w", err)
	}
	return l, nil
}

// URL returns the address of the page that a listener serves.
func URL(l net.Listener) string { return "http://" + l.Addr().String() + "/" }

// Serve serves the page until ctx is done, and returns nil then. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends the streams
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	all.Go(func() error { return server.Serve(l) })
	if err := all.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	s.hub.wait()
	return nil
}

// Handler returns the handler of the page and of what its scripts ask for.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // of a folder that is embedded
	}
	mux.HandleFunc("GET /{$}", s.index)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(files)))
	mux.HandleFunc("GET /api/changes", s.changes)
	s.reads(mux)
	s.writes(mux)
	return guard.Page(secure(mux))
}

// policy lets the page load its own files and talk to its own server, and nothing else, and no page show it in a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// secure sets the headers that protect the page in the browser.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = index.Execute(w, struct{ Stack, Token string }{s.backend.About().Stack, s.token}) // a browser that has gone away
}

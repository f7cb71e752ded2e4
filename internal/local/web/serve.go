package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// drain is how long requests in flight may take after the end of Serve's context.
const drain = 700 * time.Millisecond

// Listen listens on a port of 127.0.0.1, or with port 0 on one that the system chooses. Its error names who wants the port, and
// for a port that is in use the flag that changes it.
func Listen(ctx context.Context, port int, who string) (net.Listener, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d of %s is taken: choose another one with --port", port, who)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", who, err)
	}
	return listener, nil
}

// Serve serves until ctx is done, and then waits up to a second for the requests in flight. It ends those that take longer
// with abort.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, abort func()) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var ended error
	select {
	case ended = <-served:
	case <-ctx.Done():
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		if server.Shutdown(draining) != nil {
			abort()
			_ = server.Close()
		}
		ended = <-served
	}
	if errors.Is(ended, http.ErrServerClosed) {
		return nil
	}
	return ended
}

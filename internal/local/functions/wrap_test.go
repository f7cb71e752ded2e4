package functions

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// Wrap stands before the Runtime API and can kill the process: then Lambda's error is the caller's answer.
func TestWrap(t *testing.T) {
	h := newHost(t)
	killing := true
	h.cfg.Wrap = func(env Environment, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if killing && strings.HasSuffix(r.URL.Path, "/response") {
				killing = false
				if env.Function != "Probe" {
					t.Errorf("the environment is of function %q", env.Function)
				}
				env.Kill()
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	arn := h.function(nil)
	_, err := h.Invoke(t.Context(), arn, []byte(`{}`))
	var failed *FunctionError
	if !errors.As(err, &failed) || failed.Type != TypeExit || !strings.Contains(failed.Message, "signal: killed") {
		t.Errorf("got %v, want %s by a signal", err, TypeExit)
	}
	if a := h.ask(arn, order{}); a.Calls != 1 {
		t.Errorf("call %d of the process, want the first of a new one", a.Calls)
	}
}

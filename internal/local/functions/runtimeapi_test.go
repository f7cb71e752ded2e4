package functions

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// runtimeOf is the Runtime API of an environment without a process.
func runtimeOf(t *testing.T) (*environment, *httptest.Server) {
	e := &environment{fn: &function{arn: "arn:f", service: &Service{cfg: Config{Sink: func(hop.Hop) {}}}}, asks: make(chan struct{}, 1), invocations: make(chan *invocation), log: &logWriter{}}
	server := httptest.NewServer(e.runtimeAPI())
	t.Cleanup(server.Close)
	return e, server
}

// take has the runtime ask for an invocation and hands it one.
func take(t *testing.T, e *environment, server *httptest.Server) *invocation {
	t.Helper()
	inv := newInvocation("arn", []byte(`{}`), hop.Cause{}, time.Now().Add(time.Minute), false)
	go func() { e.invocations <- inv }()
	status, _ := send(t, server, http.MethodGet, "invocation/next", "", nil)
	if status != http.StatusOK {
		t.Fatalf("next answers %d", status)
	}
	return inv
}

func send(t *testing.T, server *httptest.Server, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/2018-06-01/runtime/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestOnlyTheRunningInvocationCanBeAnswered(t *testing.T) {
	e, server := runtimeOf(t)
	inv := take(t, e, server)
	answers := []struct {
		id, body string
		status   int
	}{
		{"another", `"wrong"`, http.StatusBadRequest},
		{inv.id, `"right"`, http.StatusAccepted},
		{inv.id, `"again"`, http.StatusBadRequest},
	}
	for _, a := range answers {
		if status, text := send(t, server, http.MethodPost, "invocation/"+a.id+"/response", a.body, nil); status != a.status {
			t.Errorf("%s is answered with %d %s, want %d", a.body, status, text, a.status)
		}
	}
	<-inv.answered
	if string(inv.response) != `"right"` {
		t.Errorf("the response is %s", inv.response)
	}
}

func TestReportedErrors(t *testing.T) {
	kind := http.Header{"Lambda-Runtime-Function-Error-Type": {"Extension.Bad"}}
	tests := map[string]struct {
		body          string
		header        http.Header
		kind, message string
	}{
		"type in the body":   {`{"errorType":"Mine","errorMessage":"no","stackTrace":[]}`, kind, "Mine", "no"},
		"type in the header": {`{"errorMessage":"no"}`, kind, "Extension.Bad", "no"},
		"no type":            {`{"errorMessage":"no"}`, nil, TypeUnknown, "no"},
		"not JSON":           {`oops`, nil, TypeUnknown, "oops"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, server := runtimeOf(t)
			inv := take(t, e, server)
			if status, text := send(t, server, http.MethodPost, "invocation/"+inv.id+"/error", tt.body, tt.header); status != http.StatusAccepted {
				t.Fatalf("answered with %d %s", status, text)
			}
			<-inv.answered
			if f := inv.failure; f == nil || f.Type != tt.kind || f.Message != tt.message {
				t.Errorf("the failure is %+v", f)
			}
			if status, _ := send(t, server, http.MethodPost, "init/error", tt.body, tt.header); status != http.StatusAccepted {
				t.Errorf("init/error is answered with %d", status)
			}
			if f := e.reportedInitFailure(); f == nil || f.Type != tt.kind || f.Message != tt.message {
				t.Errorf("the failure of the init is %+v", f)
			}
		})
	}
}

func TestWhatTheRuntimeAPIDoesNotHave(t *testing.T) {
	_, server := runtimeOf(t)
	for _, path := range []string{"invocation", "exit", "../../2020-01-01/extension/register"} {
		if status, _ := send(t, server, http.MethodPost, path, "", nil); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d, want 404", path, status)
		}
	}
}

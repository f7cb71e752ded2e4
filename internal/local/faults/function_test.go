package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
)

const (
	batch   = `{"Records":[{"body":"{\"detail\":{\"id\":\"a\"}}"},{"body":"{\"detail\":{\"id\":\"b\"}}"}]}`
	request = `{"httpMethod":"PATCH","path":"/orders/o-1"}`
)

// A process is an execution environment with a Runtime API behind the faults. Its kill closes its connections.
type process struct {
	t      *testing.T
	server *httptest.Server

	mu        sync.Mutex
	nexts     int      // requests for an invocation that the host received
	responses []string // that the host received
	kills     int
	killed    chan struct{}
}

func startProcess(t *testing.T, i *Injector, payload string) *process {
	p := &process{t: t, killed: make(chan struct{})}
	host := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/next") {
			p.nexts++
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "invocation-1")
			_, _ = io.WriteString(w, payload)
			return
		}
		p.responses = append(p.responses, string(body))
		w.WriteHeader(http.StatusAccepted)
	})
	p.server = httptest.NewServer(i.Function(functions.Environment{Function: "Fn1", Kill: p.kill}, host))
	t.Cleanup(p.server.Close)
	return p
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kills++; p.kills == 1 {
		close(p.killed)
		p.server.CloseClientConnections()
	}
}

// next requests an invocation; an error means that there was no response.
func (p *process) next() (string, error) { return p.call(http.MethodGet, "next", "") }

func (p *process) respond(body string) (string, error) {
	return p.call(http.MethodPost, "invocation-1/response", body)
}

func (p *process) call(method, path, body string) (string, error) {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+"/2018-06-01/runtime/invocation/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	return string(text), err
}

// state returns what the host has seen.
func (p *process) state() (nexts int, responses []string, kills int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nexts, slices.Clone(p.responses), p.kills
}

const good = `{"batchItemFailures":[]}`

func TestFunctionKilled(t *testing.T) {
	for _, c := range []struct {
		point           Point
		arrives, worked bool // for the function: the invocation arrived; the response was sent and accepted
	}{
		{FunctionKillBefore, false, false},
		{FunctionKillAfterCommit, true, false},
		{FunctionKillAfterResponse, true, true},
		{FunctionOutOfMemory, true, false},
	} {
		t.Run(string(c.point), func(t *testing.T) {
			i, fired := scripted(Step{Point: c.point, Key: "b"})
			p := startProcess(t, i, batch)
			got, err := p.next()
			if c.arrives != (err == nil && got == batch) {
				t.Fatalf("next: %q, %v", got, err)
			}
			if c.arrives {
				if _, err := p.respond(good); c.worked != (err == nil) {
					t.Errorf("response: %v", err)
				}
			}
			<-p.killed
			if _, responses, _ := p.state(); len(responses) > 0 {
				t.Errorf("the host got %q", responses)
			}
			want := []string{string(c.point) + " | b @ Fn1 | 1"}
			if got := fired.list(); !slices.Equal(got, want) || !slices.Equal(fired.all()[0].EventIDs, []string{"a", "b"}) {
				t.Errorf("fired %+v, want %q", fired.all(), want)
			}
		})
	}
}

func TestFunctionTimeout(t *testing.T) {
	arrived := map[bool]int{}
	for seed := range uint64(8) {
		fired := make(chan console.Fault, 2)
		plan := &Plan{Seed: seed, Rates: map[Point]float64{FunctionTimeout: 1}}
		p := startProcess(t, New(plan, func(f console.Fault) { fired <- f }), batch)
		stuck := make(chan bool, 1)
		go func() {
			_, err := p.next()
			arrived := err == nil
			if arrived {
				_, err = p.respond(good)
			}
			if err == nil {
				t.Error("the function got a response before its timeout")
			}
			stuck <- arrived
		}()
		<-fired
		p.kill() // as the host does after the timeout
		arrived[<-stuck]++
		if _, responses, _ := p.state(); len(responses) > 0 {
			t.Errorf("the host got %q", responses)
		}
	}
	if arrived[true] == 0 || arrived[false] == 0 {
		t.Errorf("only one of the two forms of a timeout occurred: %v", arrived)
	}
}

func TestFunctionMalformedResponse(t *testing.T) {
	// A missing list means success: it must not replace one that names failures.
	const bad = `{"batchItemFailures":[{"itemIdentifier":"m-1"}]}`
	for said, forms := range map[string][][]byte{good: slices.Concat(malformed, withoutFailureList), bad: malformed} {
		seen := map[string]bool{}
		for seed := range uint64(40) {
			i, _ := newInjector(&Plan{Seed: seed, Rates: map[Point]float64{FunctionMalformedResponse: 1}})
			p := startProcess(t, i, batch)
			if _, err := p.next(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.respond(said); err != nil {
				t.Fatal(err)
			}
			_, responses, kills := p.state()
			if len(responses) != 1 || kills > 0 || responses[0] == said {
				t.Fatalf("the host got %q", responses)
			}
			seen[responses[0]] = true
		}
		for _, form := range forms {
			if !seen[string(form)] {
				t.Errorf("%s never replaced %s", form, said)
			}
		}
		if len(seen) != len(forms) {
			t.Errorf("%d forms replaced %s, want %d", len(seen), said, len(forms))
		}
	}
	i, _ := injecting(FunctionMalformedResponse)
	p := startProcess(t, i, request)
	_, _ = p.next()
	_, _ = p.respond(`{"statusCode":200}`)
	if _, responses, _ := p.state(); !slices.Equal(responses, []string{`{"statusCode":200}`}) {
		t.Errorf("the response to a request became %q", responses)
	}
}

func TestFunctionStart(t *testing.T) {
	t.Run("fails", func(t *testing.T) {
		i, fired := injecting(FunctionInitFailure)
		p := startProcess(t, i, batch)
		if _, err := p.next(); err == nil {
			t.Error("the function started")
		}
		if nexts, _, kills := p.state(); nexts > 0 || kills != 1 {
			t.Errorf("the host received %d requests for an invocation, the process was killed %d times", nexts, kills)
		}
		if got := fired.list(); !slices.Equal(got, []string{"function.init-failure | Fn1 | 1"}) {
			t.Errorf("fired %q", got)
		}
	})
	t.Run("is slow, once", func(t *testing.T) {
		i, _ := injecting(FunctionSlowStart)
		p := startProcess(t, i, batch)
		for n, slow := range []bool{true, false} {
			began := time.Now()
			if _, err := p.next(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); slow != (took >= slowFor) {
				t.Errorf("invocation %d came after %v", n, took)
			}
		}
	})
}

// TestFunctionRequest checks that a request is named by its method and path, and that a healed environment works as
// if there were no faults.
func TestFunctionRequest(t *testing.T) {
	i, fired := injecting(FunctionKillAfterCommit, FunctionKillBefore)
	p := startProcess(t, i, request)
	_, _ = p.next()
	if got := fired.list(); !slices.Equal(got, []string{"function.kill-before | PATCH /orders/o-1 @ Fn1 | 1"}) {
		t.Errorf("fired %q", got)
	}
	i.Heal()
	p = startProcess(t, i, request)
	if got, err := p.next(); err != nil || got != request {
		t.Errorf("next: %q, %v", got, err)
	}
	answer, _ := json.Marshal(map[string]int{"statusCode": 200})
	if _, err := p.respond(string(answer)); err != nil {
		t.Error(err)
	}
	if _, responses, _ := p.state(); !slices.Equal(responses, []string{string(answer)}) {
		t.Errorf("the host got %q", responses)
	}
}

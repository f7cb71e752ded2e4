package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestMain(m *testing.M) {
	// The toolchain searches for Node.js in node_modules of the working directory.
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The package process keeps one thread for the start of child processes as long as this process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

// A fakeDynamoDB responds to every call as the test defines, and records the last one.
type fakeDynamoDB struct {
	*httptest.Server
	mu     sync.Mutex
	target string
	header http.Header
	body   []byte
	answer func(w http.ResponseWriter, r *http.Request)
}

func newFakeDynamoDB(t testing.TB) *fakeDynamoDB {
	f := &fakeDynamoDB{}
	f.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.target, f.header, f.body = r.Header.Get("X-Amz-Target"), r.Header, body
		answer := f.answer
		f.mu.Unlock()
		w.Header().Set("X-Amzn-RequestId", "backend-1")
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// answers makes DynamoDB respond with a status and a body.
func (f *fakeDynamoDB) answers(status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// A gateway is a running service of the stack in testdata/orders.json, or of other resources.
type gateway struct {
	*Service
	t        testing.TB
	dynamoDB *fakeDynamoDB
	hops     chan hop.Hop
	end      func()
}

type options struct {
	resources []template.Resource
	invoke    func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	watch     func(r *http.Request) // called with each request before the service
	configure func(*Config)
}

func start(t testing.TB, o options) *gateway {
	t.Helper()
	g := &gateway{t: t, dynamoDB: newFakeDynamoDB(t), hops: make(chan hop.Hop, 1024)}
	c := cloud.New("eu-central-1")
	c.SetEndpoint(cloud.DynamoDB, g.dynamoDB.URL)
	sink := func(h hop.Hop) {
		select {
		case g.hops <- h:
		default: // the test reads no hops
		}
	}
	config := Config{Cloud: c, Invoke: o.invoke, Sink: sink}
	if o.configure != nil {
		o.configure(&config)
	}
	s, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	g.Service = s
	t.Cleanup(s.Close)
	if o.resources == nil {
		o.resources = orders(t)
	}
	if err := provision(t, s, o.resources); err != nil {
		t.Fatal(err)
	}
	if o.watch != nil {
		s.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			o.watch(r)
			s.ServeHTTP(w, r)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	g.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(g.end)
	return g
}

// orders returns the resources of testdata/orders.json.
func orders(t testing.TB) []template.Resource {
	t.Helper()
	raw, err := os.ReadFile("local/apigateway/testdata/orders.json")
	if err != nil {
		t.Fatal(err)
	}
	var resources []template.Resource
	if err := json.Unmarshal(raw, &resources); err != nil {
		t.Fatal(err)
	}
	return resources
}

// provision creates the resources in their order.
func provision(t testing.TB, s *Service, resources []template.Resource) error {
	t.Helper()
	provisions := s.Provisions()
	for _, r := range resources {
		r.PhysicalName = r.LogicalID
		if _, err := provisions[r.Type](t.Context(), r); err != nil {
			return fmt.Errorf("%s (%s): %w", r.LogicalID, r.Type, err)
		}
	}
	return nil
}

// An answer is a response as the caller receives it.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request to a path of the first stage.
func (g *gateway) do(method, path, body string, header ...string) answer {
	g.t.Helper()
	return g.call(method, strings.TrimSuffix(g.URL(), "/")+path, body, header...)
}

func (g *gateway) call(method, url, body string, header ...string) answer {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}

// sent returns the last request that DynamoDB received, decoded.
func (g *gateway) sent() (target string, request map[string]any) {
	g.t.Helper()
	g.dynamoDB.mu.Lock()
	defer g.dynamoDB.mu.Unlock()
	decoder := json.NewDecoder(bytes.NewReader(g.dynamoDB.body))
	if err := decoder.Decode(&request); err != nil {
		g.t.Fatalf("DynamoDB got no JSON: %v\n%s", err, g.dynamoDB.body)
	}
	return g.dynamoDB.target, request
}

// at follows keys and indexes into decoded JSON.
func at(t testing.TB, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

func wantJSON(t testing.TB, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if compact(g) != compact(w) {
		t.Errorf("body is %s, want %s", compact(g), compact(w))
	}
}

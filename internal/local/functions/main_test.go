package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const probe = "testdata/probe"

// patience bounds every wait for something that should happen.
const patience = 20 * time.Second

// assembly is a cloud assembly whose assets are the folders in testdata and the compiled probe.
var assembly string

// holderApp makes the test binary a host that is going to be killed (see TestFunctionsEndWhenWeAreKilled).
const holderApp = "FUNCTIONS_TEST_APP"

func TestMain(m *testing.M) {
	if app := os.Getenv(holderApp); app != "" {
		hold(app, os.Args[1])
		return
	}
	dir, err := os.MkdirTemp("", "functions-")
	if err == nil {
		err = cacheIn(dir)
	}
	if err == nil {
		assembly, err = buildAssembly(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"),
		goleak.Cleanup(func(code int) {
			os.RemoveAll(dir)
			os.Exit(code)
		}))
}

// cacheIn keeps the programs of these tests out of the user's cache, and leaves the go command its own.
func cacheIn(dir string) error {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	return errors.Join(os.Setenv("GOCACHE", strings.TrimSpace(string(cache))), os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache")))
}

// buildAssembly compiles the probe the way a function with Go source is compiled.
func buildAssembly(dir string) (string, error) {
	app := filepath.Join(dir, "app")
	for _, name := range []string{"node", "python"} {
		if err := os.CopyFS(filepath.Join(app, name), os.DirFS(filepath.Join("testdata", name))); err != nil {
			return "", err
		}
	}
	s := New(Config{})
	defer s.Close()
	if _, err := s.build(context.Background(), s.builder, ".", &source{Source: probe}, filepath.Join(app, "probe")); err != nil {
		return "", err
	}
	return app, writeManifest(app, map[string]string{"probe": "probe", "node": "node", "python": "python"})
}

// writeManifest writes an asset manifest with the keys <name>.zip for folders in the assembly.
func writeManifest(app string, folders map[string]string) error {
	files := map[string]any{}
	for name, folder := range folders {
		files[name] = map[string]any{
			"source":       map[string]any{"path": folder, "packaging": "zip"},
			"destinations": map[string]any{"here": map[string]any{"bucketName": "assets", "objectKey": name + ".zip"}},
		}
	}
	raw, err := json.Marshal(map[string]any{"version": "48.0.0", "files": files})
	if err != nil {
		return err
	}
	return write(filepath.Join(app, "Test.assets.json"), raw)
}

// host is a Service and what it said.
type host struct {
	*Service
	t   *testing.T
	app string // the cloud assembly of the functions

	mu      sync.Mutex
	hops    []hop.Hop
	changed chan struct{}
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, app: assembly, changed: make(chan struct{})}
	h.Service = New(Config{Cloud: testCloud(), Dir: t.TempDir(), Sink: h.sink})
	t.Cleanup(h.Close)
	return h
}

func (h *host) sink(one hop.Hop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hops = append(h.hops, one)
	close(h.changed)
	h.changed = make(chan struct{})
}

// logged are the details of the hops with that outcome so far.
func (h *host) logged(outcome hop.Outcome) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for _, one := range h.hops {
		if one.Outcome == outcome && one.Stage == hop.Function {
			found = append(found, one.Detail)
		}
	}
	return found
}

// await waits until the functions have logged n lines that begin so.
func (h *host) await(n int, prefix string) {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		count := 0
		for _, line := range h.logged(hop.OK) {
			if strings.HasPrefix(line, prefix) {
				count++
			}
		}
		if count >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			h.t.Fatalf("%d lines begin with %q, want %d", count, prefix, n)
		}
	}
}

// awaitLine waits until the function has logged a line that ends so, and returns it.
func (h *host) awaitLine(end string) string {
	h.t.Helper()
	return h.awaitHop(func(one hop.Hop) bool { return one.Stage == hop.Function && strings.HasSuffix(one.Detail, end) }).Detail
}

// awaitHop waits for the first hop that is as asked.
func (h *host) awaitHop(asked func(hop.Hop) bool) hop.Hop {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		changed := h.changed
		at := slices.IndexFunc(h.hops, asked)
		if at >= 0 {
			defer h.mu.Unlock()
			return h.hops[at]
		}
		h.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			h.t.Fatal("there is no such hop")
		}
	}
}

// platform returns the lines that Lambda itself has logged so far.
func (h *host) platform() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	for _, one := range h.hops {
		if one.Stage == hop.Platform {
			lines = append(lines, one.Detail)
		}
	}
	return lines
}

type props map[string]any

// provision declares a function and returns its ARN. Properties override those of the probe.
func (h *host) provision(id string, override props) (string, error) {
	all := props{
		"Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "ignored", "Timeout": 20,
		"Code": map[string]any{"S3Bucket": "assets", "S3Key": "probe.zip"},
	}
	for name, value := range override {
		all[name] = value
	}
	attributes, err := h.Provisions()["AWS::Lambda::Function"](h.t.Context(), template.Resource{
		LogicalID: id, Type: "AWS::Lambda::Function", PhysicalName: "stack-" + id, Properties: all, Dir: h.app, Root: h.app,
	})
	return attributes.GetAtt["Arn"], err
}

// function declares a function that must be accepted.
func (h *host) function(override props) string {
	h.t.Helper()
	arn, err := h.provision("Probe", override)
	if err != nil {
		h.t.Fatal(err)
	}
	return arn
}

type order struct {
	Do   string
	Text string
	Size int
}

type answer struct {
	PID      int
	Calls    int
	Env      []string
	Dir      string
	ID       string
	ARN      string
	Trace    string
	Deadline time.Time
}

func (h *host) send(ctx context.Context, arn string, o order) ([]byte, error) {
	payload, err := json.Marshal(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Invoke(ctx, arn, payload)
}

// ask gives an order that must succeed.
func (h *host) ask(arn string, o order) answer {
	h.t.Helper()
	raw, err := h.send(h.t.Context(), arn, o)
	if err != nil {
		h.t.Fatalf("invoke: %v", err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		h.t.Fatalf("the answer is %s: %v", raw, err)
	}
	return a
}

func testCloud() *cloud.Cloud { return cloud.New("eu-west-1") }

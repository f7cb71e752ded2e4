package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestRunEndsWithItsContext(t *testing.T) {
	h := newHost(t)
	h.function(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("error is %v, want nil", err)
	}
}

// greeting is what the handlers in testdata answer.
type greeting struct {
	Hello string
	Calls int
	ID    string
	Left  bool
	Trace string
	Env   string
}

func (h *host) greet(arn, event string) (greeting, error) {
	raw, err := h.Invoke(h.t.Context(), arn, []byte(event))
	if err != nil {
		return greeting{}, err
	}
	var g greeting
	if err := json.Unmarshal(raw, &g); err != nil {
		h.t.Fatalf("the answer is %s", raw)
	}
	return g, nil
}

func TestInterpretedFunctions(t *testing.T) {
	code := func(key string) map[string]any { return map[string]any{"S3Key": key} }
	inline := func(text string) map[string]any { return map[string]any{"ZipFile": text} }
	tests := map[string]struct {
		props props
		fails string // type of the error for {"fail":"broken"}
	}{
		"node":           {props{"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code("node.zip")}, "TypeError"},
		"node, callback": {props{"Runtime": "nodejs22.x", "Handler": "callback.handler", "Code": code("node.zip")}, "Error"},
		"node, inline": {props{"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": inline(
			`exports.handler = async (e) => { if (e.fail) throw new RangeError(e.fail); return {hello: e.name}; }`)}, "RangeError"},
		"python": {props{"Runtime": "python3.13", "Handler": "app.handler", "Code": code("python.zip")}, "ValueError"},
		"python, inline": {props{"Runtime": "python3.13", "Handler": "index.handler", "Code": inline(
			"def handler(event, context):\n  if 'fail' in event: raise KeyError(event['fail'])\n  return {'hello': event['name']}")}, "KeyError"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			arn := h.function(tt.props)
			if err := h.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			const who = "Grüße 'n' \"quotes\""
			event, err := json.Marshal(map[string]string{"name": who})
			if err != nil {
				t.Fatal(err)
			}
			if g, err := h.greet(arn, string(event)); err != nil || g.Hello != who {
				t.Fatalf("%+v, %v", g, err)
			}
			var failed *FunctionError
			if _, err := h.greet(arn, `{"fail":"broken"}`); !errors.As(err, &failed) || failed.Type != tt.fails || strings.Trim(failed.Message, "'") != "broken" {
				t.Errorf("error is %v", err)
			}
			if g, err := h.greet(arn, `{"name":"again"}`); err != nil || g.Hello != "again" {
				t.Errorf("after the failure: %+v, %v", g, err)
			}
			if retries := h.logged(hop.Retry); len(retries) > 0 {
				t.Errorf("reported as failures: %q", retries)
			}
		})
	}
}

func TestRuntimeClientsTellWhatLambdaTells(t *testing.T) {
	for runtimeName, p := range map[string]props{
		"nodejs22.x": {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": map[string]any{"S3Key": "node.zip"}},
		"python3.13": {"Runtime": "python3.13", "Handler": "app.handler", "Code": map[string]any{"S3Key": "python.zip"}},
	} {
		t.Run(runtimeName, func(t *testing.T) {
			h := newHost(t)
			g, err := h.greet(h.function(p), `{"name":"x"}`)
			if err != nil {
				t.Fatal(err)
			}
			if g.ID == "" || !g.Left || !strings.HasPrefix(g.Trace, "Root=1-") || g.Env != "AWS_Lambda_"+runtimeName {
				t.Errorf("the handler was told %+v", g)
			}
			h.awaitLine("saw x")
		})
	}
}

func TestHandlerWithoutAResultAnswersNull(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": map[string]any{"S3Key": "node.zip"}})
	if raw, err := h.Invoke(t.Context(), arn, []byte(`{"nothing":true}`)); err != nil || string(raw) != "null" {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestHandlerThatCannotBeLoaded(t *testing.T) {
	tests := map[string]struct {
		props props
		kind  string
		want  string
	}{
		"no such file":            {props{"Runtime": "nodejs22.x", "Handler": "nobody.handler", "Code": map[string]any{"S3Key": "node.zip"}}, "Error", "there is no nobody.js"},
		"no such function":        {props{"Runtime": "nodejs22.x", "Handler": "index.nobody", "Code": map[string]any{"S3Key": "node.zip"}}, "Error", "exports no function nobody"},
		"no such module":          {props{"Runtime": "python3.13", "Handler": "nobody.handler", "Code": map[string]any{"S3Key": "python.zip"}}, "ModuleNotFoundError", "nobody"},
		"no such python function": {props{"Runtime": "python3.13", "Handler": "app.nobody", "Code": map[string]any{"S3Key": "python.zip"}}, "AttributeError", "nobody"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			_, err := h.Invoke(t.Context(), h.function(tt.props), []byte(`{}`))
			var failed *FunctionError
			if !errors.As(err, &failed) || failed.Type != tt.kind || !strings.Contains(failed.Message, tt.want) {
				t.Errorf("error is %v, want %s with %q", err, tt.kind, tt.want)
			}
		})
	}
}

func TestBootstrapMayBeAScript(t *testing.T) {
	h := newHost(t)
	h.app = t.TempDir()
	installScript(t, filepath.Join(h.app, "asset", "bootstrap"), "exec "+filepath.Join(assembly, "probe", "bootstrap"))
	if err := writeManifest(h.app, map[string]string{"script": "asset"}); err != nil {
		t.Fatal(err)
	}
	if a := h.ask(h.function(props{"Code": map[string]any{"S3Key": "script.zip"}}), order{}); a.Calls != 1 {
		t.Errorf("the answer is %+v", a)
	}
}

func installScript(t *testing.T, path, script string) {
	t.Helper()
	if err := write(path, []byte("#!/bin/sh\n"+script+"\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestFunctionsThisMachineCannotRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the foreign bootstrap below is an ELF file")
	}
	app := t.TempDir()
	foreign, err := os.ReadFile(filepath.Join(assembly, "probe", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	foreign = bytes.Clone(foreign)
	foreign[18], foreign[19] = 0xf7, 0 // e_machine: BPF, which is nobody's CPU
	for name, content := range map[string][]byte{"foreign": foreign, "garbage": []byte("hello"), "locked": []byte("#!/bin/sh\n")} {
		path := filepath.Join(app, name, "bootstrap")
		if err := write(path, content); err != nil {
			t.Fatal(err)
		}
		if name != "locked" {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A link that leads out of the assembly.
	if err := os.Symlink(filepath.Join(assembly, "probe"), filepath.Join(app, "link")); err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(app, map[string]string{
		"foreign": "foreign", "garbage": "garbage", "locked": "locked", "empty": "empty",
		"outside": "../../etc", "absolute": filepath.Join(assembly, "probe"), "link": "link",
	}); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(app, "Other.assets.json"), []byte(
		`{"files":{"x":{"source":{"path":"x.zip","packaging":"file"},"destinations":{"here":{"objectKey":"file.zip"}}}}}`)); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ runtime, key, want string }{
		"another CPU":      {"provided.al2023", "foreign.zip", "its bootstrap is compiled for EM_BPF, this machine is linux/" + runtime.GOARCH},
		"not a program":    {"provided.al2023", "garbage.zip", "its bootstrap is not a program for linux/" + runtime.GOARCH},
		"not executable":   {"provided.al2", "locked.zip", "its bootstrap is not executable"},
		"no bootstrap":     {"provided.al2023", "empty.zip", "it has no bootstrap"},
		"a single file":    {"provided.al2023", "file.zip", "asset x.zip is a single file, the local run needs a folder"},
		"not in the app":   {"provided.al2023", "nobody.zip", `no asset manifest in ` + app + ` has the key "nobody.zip"`},
		"outside":          {"provided.al2023", "outside.zip", "it is " + template.RealPath(filepath.Join(app, "../../etc"))},
		"an absolute path": {"provided.al2023", "absolute.zip", "it is " + template.RealPath(filepath.Join(assembly, "probe"))},
		"a link":           {"nodejs22.x", "link.zip", "it is " + template.RealPath(filepath.Join(assembly, "probe"))},
		"another language": {"java21", "foreign.zip", "Runtime must be provided.*, nodejs* or python* for the local run"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.app = app
			h.function(props{"Runtime": tt.runtime, "Code": map[string]any{"S3Key": tt.key}})
			err := h.Prepare(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "function Probe: runtime "+tt.runtime+": ") || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRefusedProperties(t *testing.T) {
	tests := map[string]struct {
		props props
		want  string
	}{
		"layers":                {props{"Layers": []any{"arn"}}, "Layers must be empty for the local run, which puts no files into /opt"},
		"an image":              {props{"PackageType": "Image"}, `PackageType must be Zip for the local run, got "Image"`},
		"less than no process":  {props{"ReservedConcurrentExecutions": -1}, "ReservedConcurrentExecutions must be a whole number, 0 or more, got -1"},
		"a topic for failures":  {props{"DeadLetterConfig": map[string]any{"TargetArn": "arn:aws:sns:eu-west-1:1:T"}}, `DeadLetterConfig.TargetArn must be the ARN of a standard SQS queue in the local run, got "arn:aws:sns:eu-west-1:1:T"`},
		"a name that leads out": {props{"FunctionName": "../../home"}, `FunctionName must be 1 to 64 letters, digits, dashes and underscores, got "../../home"`},
		"a name twice":          {props{"FunctionName": "taken"}, `FunctionName "taken" is taken by First`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if _, err := h.provision("First", props{"FunctionName": "taken"}); err != nil {
				t.Fatal(err)
			}
			if _, err := h.provision("Second", tt.props); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestPrepareReportsAllProblems(t *testing.T) {
	h := newHost(t)
	for _, id := range []string{"One", "Two"} {
		if _, err := h.provision(id, props{"Runtime": "java21"}); err != nil {
			t.Fatal(err)
		}
	}
	err := h.Prepare(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !slices.IsSorted(lines) {
		t.Errorf("error is %v, want one line a function", err)
	}
}

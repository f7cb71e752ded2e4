package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// goFunction declares a function whose source is in a folder of this package.
func (h *host) goFunction(id, folder string) template.Resource {
	h.t.Helper()
	source, err := filepath.Rel(h.app, resolved(folder))
	if err != nil {
		h.t.Fatal(err)
	}
	return template.Resource{
		LogicalID: id, PhysicalName: strings.ToLower(id),
		Properties: map[string]any{"Runtime": "provided.al2023", "Handler": "bootstrap", "Code": map[string]any{"S3Key": "not-there.zip"}},
		Metadata: map[string]any{"outboxkit:golambda": map[string]any{
			"source": source, "tags": []any{"lambda.norpc"}, "ldflags": []any{"-s", "-w"},
		}},
	}
}

func TestGoFunctionIsCompiledForThisMachine(t *testing.T) {
	t.Setenv("GOOS", "plan9")
	t.Setenv("GOARCH", "mips")
	h := newHost(t)
	attributes, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), h.goFunction("Go", probe))
	if err != nil {
		t.Fatal(err)
	}
	if attributes.Ref != "go" {
		t.Errorf("Ref is %q, want the function's name", attributes.Ref)
	}
	if err := h.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dir := h.ask(attributes.GetAtt["Arn"], order{}).Dir; dir != filepath.Join(h.cfg.Dir, "go") {
		t.Errorf("it runs in %s", dir)
	}
}

func TestCompileErrorIsTheCompilersOwn(t *testing.T) {
	tests := map[string]struct{ folder, want string }{
		"does not compile": {"testdata/broken", "function Go: go build ./internal/local/functions/testdata/broken in " + resolved("../../..") + ": exit status 1\n"},
		"does not exist":   {"testdata/nobody", "function Go: its source folder " + resolved("testdata") + "/nobody is not there: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			attributes, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), h.goFunction("Go", tt.folder))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, invokeErr := h.Invoke(ctx, attributes.GetAtt["Arn"], nil)
			for _, err := range []error{h.Prepare(ctx), h.Run(ctx), invokeErr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || name == "does not compile" && !strings.Contains(err.Error(), "main.go:5:2: undefined: undefinedName") {
					t.Errorf("error is %v, want one with %q", err, tt.want)
				}
			}
		})
	}
}

// A template may be a stranger's: what it says about a build cannot run a program, and is not guessed at.
func TestMetadataThatIsRefused(t *testing.T) {
	h := newHost(t)
	for name, test := range map[string]struct {
		metadata any
		want     []string
	}{
		"no source":          {map[string]any{"tags": []any{"a"}}, []string{`source must be a folder relative to the cloud assembly, got ""`}},
		"an absolute source": {map[string]any{"source": "/etc"}, []string{`got "/etc"`}},
		"a field of before":  {map[string]any{"source": "x", "package": "-toolexec=/bin/evil"}, []string{`unknown field "package"`, "run cdk synth again"}},
		"no object":          {"x", []string{"cannot unmarshal string"}},
		"several": {
			map[string]any{"tags": []any{"-toolexec=/bin/evil"}, "ldflags": []any{"-extld=/bin/evil"}, "flags": []any{"-toolexec=/bin/evil"}},
			[]string{"source must", "Tags must", "LDFlags must", "Flags must"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.goFunction("Go", probe)
			r.Metadata["outboxkit:golambda"] = test.metadata
			_, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), r)
			for _, want := range append(test.want, "metadata outboxkit:golambda: ") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want one with %q", err, want)
				}
			}
		})
	}
}

// Another checkout's assembly gives that checkout's code, in a module of its own, wherever the run is started. The
// assembly's folder may be a link.
func TestTheSourceIsTheAssemblys(t *testing.T) {
	for _, checkout := range []string{"one", "two"} {
		root := t.TempDir()
		for name, content := range map[string]string{
			"checkout/go.mod":     "module example.com/checkout\n\ngo 1.25\n",
			"checkout/fn/main.go": "package main\n\nfunc main() { print(\"" + checkout + "\") }\n",
			"checkout/cdk.out/x":  "",
		} {
			if err := write(filepath.Join(root, name), []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(root, "link")
		if err := os.Symlink(filepath.Join("checkout", "cdk.out"), link); err != nil {
			t.Fatal(err)
		}
		s := New(Config{App: link})
		t.Cleanup(s.Close)
		built, err := s.build(t.Context(), &source{Source: "../fn"}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(built.path).CombinedOutput(); err != nil || string(out) != checkout {
			t.Errorf("the program prints %q (%v), want %q", out, err, checkout)
		}
	}
}

// Functions that the stack declares are built together, and each once.
func TestDeclaredFunctionsAreBuiltTogether(t *testing.T) {
	bin := t.TempDir()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	installScript(t, filepath.Join(bin, "go"), `echo "$1" >> `+filepath.Join(bin, "commands")+`; exec `+goCommand+` "$@"`)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	h := newHost(t)
	declared := []template.Resource{h.goFunction("One", probe), h.goFunction("Two", "testdata/second"), h.goFunction("Three", probe)}
	h.Close()
	cfg := h.cfg
	cfg.Declared = declared
	h.Service = New(cfg)
	t.Cleanup(h.Close)
	for _, r := range declared {
		if _, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	commands, err := os.ReadFile(filepath.Join(bin, "commands"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(commands), "build\n"); n != 1 {
		t.Errorf("%d go commands built the functions, want 1:\n%s", n, commands)
	}
}

// The compiler, like every child, sees nothing of the shell's secrets.
func TestTheCompilerGetsNoCredentials(t *testing.T) {
	bin := t.TempDir()
	installScript(t, filepath.Join(bin, "go"), `echo "go version go1.26.0 linux/amd64"; env >> `+filepath.Join(bin, "seen"))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	t.Setenv("GOPRIVATE", "example.com")
	h := newHost(t)
	if _, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), h.goFunction("Go", probe)); err != nil {
		t.Fatal(err)
	}
	_ = h.Prepare(t.Context()) // the script makes no program
	seen, err := os.ReadFile(filepath.Join(bin, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(seen), "GOPRIVATE=example.com") || strings.Contains(string(seen), "hidden") {
		t.Errorf("the compiler saw:\n%s", seen)
	}
}

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

func TestCloseEndsTheCompiler(t *testing.T) {
	h := newHost(t)
	if _, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), h.goFunction("Go", probe)); err != nil {
		t.Fatal(err)
	}
	h.Close()
	select {
	case <-h.all()[0].prepared:
	default:
		t.Error("Close did not wait for the compiler")
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
			h.await(1, "saw x")
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
	h.cfg.App = h.app
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
		"outside":          {"provided.al2023", "outside.zip", "it is " + resolved(filepath.Join(app, "../../etc"))},
		"an absolute path": {"provided.al2023", "absolute.zip", "it is " + resolved(filepath.Join(assembly, "probe"))},
		"a link":           {"nodejs22.x", "link.zip", "it is " + resolved(filepath.Join(assembly, "probe"))},
		"another language": {"java21", "foreign.zip", "Runtime must be provided.*, nodejs* or python* for the local run"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.cfg.App, h.app = app, app
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
		"layers":                {props{"Layers": []any{"arn"}}, `"Layers"`},
		"an image":              {props{"PackageType": "Image"}, `PackageType must be Zip for the local run, got "Image"`},
		"less than no process":  {props{"ReservedConcurrentExecutions": -1}, "ReservedConcurrentExecutions must be a whole number, 0 or more, got -1"},
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

package functions

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// goFunction declares a function whose source is in a folder of this package.
func (h *host) goFunction(id, folder string) template.Resource {
	h.t.Helper()
	source, err := filepath.Rel(template.RealPath(h.app), template.RealPath(folder))
	if err != nil {
		h.t.Fatal(err)
	}
	return template.Resource{
		LogicalID: id, PhysicalName: strings.ToLower(id), Dir: h.app, Root: h.app,
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
		"does not compile": {"testdata/broken", "function Go: go build ./internal/local/functions/testdata/broken in " + template.RealPath("../../..") + ": exit status 1\n"},
		"does not exist":   {"testdata/nobody", "function Go: its source folder " + template.RealPath("testdata") + "/nobody is not there: "},
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
		"a field of before":  {map[string]any{"source": "x", "folder": "-toolexec=/bin/evil"}, []string{`unknown field "folder"`, "run cdk synth again"}},
		"both":               {map[string]any{"source": "x", "module": "example.com/lib", "package": "fn", "app": ".."}, []string{`source must not stand next to module, got "x"`}},
		"flags as names":     {map[string]any{"module": "-toolexec=/bin/evil", "package": "-overlay=x", "app": "/etc"}, []string{`Module must be the path of a module, got "-toolexec`, `Package must be a folder in the module, got "-overlay=x"`, `app must be a folder relative`}},
		"all modules":        {map[string]any{"module": "all", "package": "../../..", "app": ".."}, []string{`Module must be the path of a module, got "all"`, `Package must be a folder in the module, got "../../.."`}},
		"no object":          {"x", []string{"cannot unmarshal string"}},
		"several": {
			map[string]any{"tags": []any{"-toolexec=/bin/evil"}, "ldflags": []any{"-extld=/bin/evil"}, "flags": []any{"-toolexec=/bin/evil"}, "experiment": "a b", "fips140": "/evil"},
			[]string{"source must", "Tags must", "LDFlags must", "Flags must", "Experiment must", "FIPS140 must"},
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
		s := New(Config{})
		t.Cleanup(s.Close)
		built, err := s.build(t.Context(), s.builder, link, &source{Source: "../fn"}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(built.path).CombinedOutput(); err != nil || string(out) != checkout {
			t.Errorf("the program prints %q (%v), want %q", out, err, checkout)
		}
	}
}

// A function of a module that the app depends on is found from the app's folder, which the template names.
func TestTheSourceIsOfTheAppsModule(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"app/go.mod":     "module example.com/app\n\ngo 1.25\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ../lib\n",
		"app/cdk.out/x":  "",
		"lib/go.mod":     "module example.com/lib\n\ngo 1.25\n",
		"lib/fn/main.go": "package main\n\nfunc main() { print(\"lib\") }\n",
	} {
		if err := write(filepath.Join(root, name), []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	app := filepath.Join(root, "app", "cdk.out")
	s := New(Config{})
	t.Cleanup(s.Close)
	origin := gobuild.Origin{Module: "example.com/lib", Package: "fn"}
	built, err := s.build(t.Context(), s.builder, app, &source{Origin: origin, App: ".."}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(built.path).CombinedOutput(); err != nil || string(out) != "lib" {
		t.Errorf("the program prints %q (%v), want lib", out, err)
	}
	_, err = s.build(t.Context(), s.builder, app, &source{Origin: origin, App: "../.."}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `module "example.com/lib" of the app in `+template.RealPath(root)) || !strings.Contains(err.Error(), "run cdk synth again, and leave the cloud assembly where it was written") {
		t.Errorf("where the app is not: error is %v", err)
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

package module

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	modversion "golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

const published = "v0.0.1"

// The functions that the construct ships are built in an app that got this module from a proxy, and whose go.sum knows
// nothing of what only they need.
func TestShippedFunctionsNeedNothingOfTheApp(t *testing.T) {
	if testing.Short() {
		t.Skip("it unpacks and compiles what the functions need")
	}
	goEnv := func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	proxy, cache, app := t.TempDir(), t.TempDir(), t.TempDir()
	publish(t, proxy)
	t.Setenv("GOPROXY", "file://"+proxy+",file://"+filepath.Join(goEnv("GOMODCACHE"), "cache", "download"))
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOMODCACHE", cache)
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOWORK", "off")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = app
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() { exec.Command("go", "clean", "-modcache").Run() }) // its files are read-only
	write(t, filepath.Join(app, "main.go"), "package main\n\nimport _ \""+path+"/runtime/trace\"\n\nfunc main() {}\n")
	run("mod", "init", "example.com/app")
	run("get", path+"@"+published)
	before := read(t, filepath.Join(app, "go.mod")) + read(t, filepath.Join(app, "go.sum"))
	if regexp.MustCompile(`(?m)^github.com/aws/aws-lambda-go v\S+ h1:`).MatchString(before) {
		t.Fatalf("the app's go.sum has what only the functions need:\n%s", before)
	}

	builder := gobuild.New(func(ctx context.Context, dir string, env, args []string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, env
		return cmd.CombinedOutput()
	})
	var targets []gobuild.Target
	for _, function := range []string{"heartbeat", "auditor"} {
		found, err := builder.Find(t.Context(), app, gobuild.Origin{Module: path, Package: "constructs/functions/" + function})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(found.Dir, realPath(t, cache)) {
			t.Fatalf("%s is in %s, want it in the module cache", function, found.Dir)
		}
		targets = append(targets, gobuild.Target{Dir: found.Dir, Standalone: !found.Own, GOOS: runtime.GOOS, GOARCH: runtime.GOARCH})
	}
	builder.Together(targets)(t.Context())
	for _, target := range targets {
		if _, err := builder.Program(t.Context(), target); err != nil {
			t.Error(err)
		}
	}
	if after := read(t, filepath.Join(app, "go.mod")) + read(t, filepath.Join(app, "go.sum")); after != before {
		t.Errorf("the app's go.mod or go.sum was changed to\n%s", after)
	}
}

// publish puts the files of this checkout that git knows into a proxy.
func publish(t *testing.T, proxy string) {
	t.Helper()
	root := realPath(t, "../..")
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	names, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []modzip.File
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if !strings.HasPrefix(name, "examples/shipping/") { // a module of its own
			files = append(files, file{root, name})
		}
	}
	var zip bytes.Buffer
	if err := modzip.Create(&zip, modversion.Version{Path: path, Version: published}, files); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	for name, content := range map[string]string{
		"list": published + "\n", published + ".info": `{"Version": "` + published + `"}`,
		published + ".mod": read(t, filepath.Join(root, "go.mod")), published + ".zip": zip.String(),
	} {
		write(t, filepath.Join(folder, name), content)
	}
}

// A file is one of a module's archive.
type file struct{ root, name string }

func (f file) Path() string                { return f.name }
func (f file) Lstat() (os.FileInfo, error) { return os.Lstat(filepath.Join(f.root, f.name)) }
func (f file) Open() (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.root, f.name))
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func realPath(t *testing.T, name string) string {
	t.Helper()
	name, err := filepath.Abs(name)
	if err == nil {
		name, err = filepath.EvalSymlinks(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

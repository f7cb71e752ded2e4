package gobuild_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// world is a folder with Go modules, a cache for programs, and a builder that counts its commands.
type world struct {
	*gobuild.Builder
	t    *testing.T
	root string

	mu       sync.Mutex
	commands []string // the arguments of each go build
	output   bytes.Buffer
}

func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	// The go command keeps its own, warm cache.
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	// Not t.TempDir, which fails when the go command's telemetry still writes there at the end.
	home, err := os.MkdirTemp("", "home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, root: root}
	w.again()
	w.write(files)
	return w
}

// again is a new process: a builder that has built nothing yet.
func (w *world) again() {
	w.Builder = gobuild.New(func(ctx context.Context, dir string, env, args []string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.output.Write(out)
		if args[0] == "build" {
			w.commands = append(w.commands, strings.Join(args, " "))
		}
		return out, err
	})
}

func (w *world) write(files map[string]string) {
	w.t.Helper()
	for name, content := range files {
		path := filepath.Join(w.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// says is the source of a program that prints a text.
func says(text string) string {
	return "package main\n\nfunc main() { print(\"" + text + "\") }\n"
}

func (w *world) target(folder string) gobuild.Target {
	return gobuild.Target{Dir: filepath.Join(w.root, folder), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH}
}

// program builds the target, which must work.
func (w *world) program(t gobuild.Target) string {
	w.t.Helper()
	path, err := w.Program(w.t.Context(), t)
	if err != nil {
		w.t.Fatal(err)
	}
	return path
}

// check runs the target's program and wants it to print a text.
func (w *world) check(t gobuild.Target, want string) {
	w.t.Helper()
	out, err := exec.Command(w.program(t)).CombinedOutput()
	if err != nil || string(out) != want {
		w.t.Errorf("%s prints %q (%v), want %q", t.Dir, out, err, want)
	}
}

const goMod = "module example.com/app\n\ngo 1.25\n"

func TestProgramsAreBuiltByOneCommand(t *testing.T) {
	w := newWorld(t, map[string]string{
		"go.mod": goMod, "main.go": says("root"), "one/main.go": says("one"), "two/main.go": says("two"),
		"a/handler/main.go": says("a"), "b/handler/main.go": says("b"), "api/v2/main.go": says("v2"), "api/main.go": says("v1"),
	})
	folders := map[string]string{".": "root", "one": "one", "two": "two", "a/handler": "a", "b/handler": "b", "api/v2": "v2", "api": "v1"}
	var all []gobuild.Target
	for folder := range folders {
		all = append(all, w.target(folder))
	}
	w.Together(all)(t.Context())
	// Two pairs have the same name, api/v2 being called api.
	if len(w.commands) != 2 {
		t.Errorf("%d go commands have run, want 2:\n%s", len(w.commands), strings.Join(w.commands, "\n"))
	}
	for folder, want := range folders {
		w.check(w.target(folder), want)
	}
	if len(w.commands) != 2 {
		t.Errorf("a program was built again: %s", w.commands[2:])
	}
}

func TestOneBrokenProgramFailsAlone(t *testing.T) {
	w := newWorld(t, map[string]string{
		"go.mod": goMod, "one/main.go": says("one"), "library/library.go": "package library\n",
		"broken/main.go": "package main\n\nfunc main() { undefinedFunction() }\n", "lost/main.go": "package main\n\nimport _ \"example.com/app/nowhere\"\n\nfunc main() {}\n",
	})
	w.Together([]gobuild.Target{w.target("one"), w.target("broken"), w.target("lost"), w.target("library"), w.target("missing")})(t.Context())
	w.check(w.target("one"), "one")
	for folder, want := range map[string]string{
		"broken":  "broken/main.go:3:15: undefined: undefinedFunction",
		"lost":    "lost/main.go:3:8: no required module provides package example.com/app/nowhere",
		"library": "no main packages to build",
		"missing": "directory not found",
	} {
		_, err := w.Program(t.Context(), w.target(folder))
		if err == nil || !strings.HasPrefix(err.Error(), "go build ./"+folder+" in "+w.root+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", folder, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "undefinedFunction") != (folder == "broken") {
			t.Errorf("%s: error is another program's: %v", folder, err)
		}
	}
}

// A program that was built once must not pass for that of a package that makes none any more.
func TestAPackageThatIsNoProgramAnyMore(t *testing.T) {
	w := newWorld(t, map[string]string{"go.mod": goMod, "one/main.go": says("one"), "two/main.go": says("two")})
	w.Together([]gobuild.Target{w.target("one"), w.target("two")})(t.Context())
	w.check(w.target("two"), "two")
	w.write(map[string]string{"two/main.go": "package two\n"})
	w.again()
	w.Together([]gobuild.Target{w.target("one"), w.target("two")})(t.Context())
	w.check(w.target("one"), "one")
	if path, err := w.Program(t.Context(), w.target("two")); err == nil {
		t.Errorf("a library has the program %s", path)
	}
}

func TestWhatIsUpToDateIsNotLinkedAgain(t *testing.T) {
	t.Setenv("GOFLAGS", "-x")
	w := newWorld(t, map[string]string{"go.mod": goMod, "one/main.go": says("one"), "two/main.go": says("two")})
	links := func() int {
		w.again()
		w.output.Reset()
		w.Together([]gobuild.Target{w.target("one"), w.target("two")})(t.Context())
		return strings.Count(w.output.String(), "/link -o ")
	}
	if n := links(); n != 2 {
		t.Errorf("the first time %d programs are linked, want 2", n)
	}
	if n := links(); n != 0 {
		t.Errorf("the second time %d programs are linked, want none", n)
	}
	w.write(map[string]string{"two/main.go": says("changed")})
	if n := links(); n != 1 {
		t.Errorf("after a change %d programs are linked, want 1", n)
	}
	w.check(w.target("one"), "one")
	w.check(w.target("two"), "changed")
}

// A taken program stays as it is.
func TestTake(t *testing.T) {
	w := newWorld(t, map[string]string{"go.mod": goMod, "one/main.go": says("one")})
	taken := filepath.Join(t.TempDir(), "bootstrap")
	if err := gobuild.Take(w.program(w.target("one")), taken); err != nil {
		t.Fatal(err)
	}
	w.write(map[string]string{"one/main.go": says("changed")})
	w.again()
	w.check(w.target("one"), "changed")
	if out, err := exec.Command(taken).CombinedOutput(); err != nil || string(out) != "one" {
		t.Errorf("the taken program prints %q (%v)", out, err)
	}
}

// Nothing is removed but what was made here and is not used any more.
func TestCleanUp(t *testing.T) {
	w := newWorld(t, map[string]string{"go.mod": goMod, "one/main.go": says("one"), "two/main.go": says("two")})
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	long := time.Now().Add(-6 * 24 * time.Hour)
	kept := w.program(w.target("one"))
	programs := filepath.Dir(filepath.Dir(kept))
	theirs := []string{
		filepath.Join(temporary, "golambda-project"), filepath.Join(temporary, "work-1"), filepath.Join(programs, "notes"),
		filepath.Join(programs, "0123456789abcdef0123456789abcdef", "notes"),
	}
	for _, folder := range append(theirs, filepath.Join(programs, "work-1234")) {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(folder, long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(kept, long, long); err != nil {
		t.Fatal(err)
	}
	w.program(w.target("two"))
	for _, folder := range theirs {
		if _, err := os.Stat(folder); err != nil {
			t.Errorf("somebody else's folder is gone: %v", err)
		}
	}
	for _, ours := range []string{kept, filepath.Join(programs, "work-1234")} {
		if _, err := os.Stat(ours); err == nil {
			t.Errorf("%s is still there", ours)
		}
	}
}

package golambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// How every function is built. lambda.norpc leaves out the RPC server that only the retired go1.x
// runtime needed. nethttpomithttp2 leaves out net/http's own HTTP/2, which DynamoDB, SQS and EventBridge
// are not called by; a function that needs it imports golang.org/x/net/http2. The compiler does not inline
// in AWS's modules, whose time is the network's: they are most of a function, and smaller so. The linker flags
// drop the symbol table, debug information and the build id, which together with -trimpath and
// -buildvcs=false makes the binary depend on nothing but the source.
// Source: Lambda developer guide, golang-package; package net/http, "HTTP/2"; docs/adr/0007 has the figures.
const (
	buildTags     = "lambda.norpc,nethttpomithttp2"
	compilerFlags = "github.com/aws/...=-l"
	linkerFlags   = "-s -w -buildid="
)

// bootstrap is the name under which an OS-only runtime starts the program.
// Source: Lambda developer guide, runtimes-provided.
const bootstrap = "bootstrap"

// A target is one build: a folder with a main package, for one architecture.
type target struct {
	dir    string // absolute
	goarch string
}

// Each folder is looked at once and each target built once per process. The values are functions that
// do the work on the first call and wait for it on every further one.
var (
	packages sync.Map // target → func() (importPath string, err error)
	binaries sync.Map // target → func() ([]byte, error)
)

// newTarget is the build of the main package in the folder entry.
func newTarget(entry *string, architecture Architecture) (target, error) {
	if entry == nil || *entry == "" {
		return target{}, errors.New("no Entry is given: the folder of the function's main package")
	}
	dir, err := filepath.Abs(*entry)
	if err != nil {
		return target{}, fmt.Errorf("entry %q: %w", *entry, err)
	}
	return target{dir: dir, goarch: goarch[architecture]}, nil
}

// goarch is Go's name of each architecture.
var goarch = map[Architecture]string{ARM64: "arm64", X86: "amd64"}

// validate reports what is wrong with the options.
func (b *BuildOptions) validate() error { return nil }

// A code is a folder to make a function's asset from: one that holds nothing but the program, or the
// source where nothing is to be built. CDK copies it into the cloud assembly while the function is made;
// discard removes it afterwards, so that nothing is left behind outside of the cloud assembly.
type code struct {
	importPath string
	dir        string
	discard    func()
}

// bundle is the code of the main package in the folder entry, built or not.
func bundle(entry *string, architecture Architecture, built bool) (code, error) {
	t, err := newTarget(entry, architecture)
	if err != nil {
		return code{}, err
	}
	importPath, err := t.importPath()
	if err != nil {
		return code{}, err
	}
	if !built {
		return code{importPath: importPath, dir: t.dir, discard: func() {}}, nil
	}
	program, err := t.binary()
	if err != nil {
		return code{}, err
	}
	dir, discard, err := temporaryFolder()
	if err != nil {
		return code{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, bootstrap), program, 0o755); err != nil {
		discard()
		return code{}, err
	}
	return code{importPath: importPath, dir: dir, discard: discard}, nil
}

// importPath is the import path of the target's main package.
func (t target) importPath() (string, error) {
	return once(&packages, t, t.list)
}

// binary is the target's program.
func (t target) binary() ([]byte, error) {
	return once(&binaries, t, t.build)
}

func once[V any](results *sync.Map, t target, work func() (V, error)) (V, error) {
	result, _ := results.LoadOrStore(t, sync.OnceValues(work))
	return result.(func() (V, error))()
}

func (t target) list() (string, error) {
	if info, err := os.Stat(t.dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("entry %s is not a folder", t.dir)
	}
	out, err := t.run("list", "-f", "{{.Name}} {{.ImportPath}}", ".")
	if err != nil {
		return "", fmt.Errorf("entry %s: %w", t.dir, err)
	}
	name, importPath, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if name != "main" {
		return "", fmt.Errorf("entry %s is package %s, a function needs a main package", t.dir, name)
	}
	return importPath, nil
}

func (t target) build() ([]byte, error) {
	importPath, err := t.importPath()
	if err != nil {
		return nil, err
	}
	out, discard, err := temporaryFolder()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", importPath, err)
	}
	defer discard()
	file := filepath.Join(out, bootstrap)
	if _, err := t.run("build", "-trimpath", "-buildvcs=false", "-tags", buildTags, "-gcflags", compilerFlags, "-ldflags", linkerFlags, "-o", file, "."); err != nil {
		return nil, fmt.Errorf("build %s: %w", importPath, err)
	}
	return os.ReadFile(file)
}

// run runs the go command in the target's folder. Its error carries what the command wrote to stderr.
func (t target) run(args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(context.Background(), "go", args...)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+t.goarch, "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

const temporaryPrefix = "golambda-"

// temporaryFolder makes a folder and what removes it. A process that ends while it builds in the
// background leaves its folder behind; the next process removes what is older than any build takes.
func temporaryFolder() (dir string, remove func(), err error) {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryPrefix+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, folder := range left {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(folder) // it may belong to another user
		}
	}
	dir, err = os.MkdirTemp("", temporaryPrefix)
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

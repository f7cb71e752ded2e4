package functions

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// source is a Go main package and how it was compiled for the template's asset.
type source struct {
	Package string `json:"package"`
	Tags    string `json:"tags"`
	Gcflags string `json:"gcflags"`
	Ldflags string `json:"ldflags"`
}

// build compiles the package for this machine. The import path is resolved in the module of the working
// directory. The error holds the compiler's output.
func (s *source) build(ctx context.Context, dir string) (program, error) {
	compiler, err := toolchain.Go(ctx)
	if err != nil {
		return program{}, err
	}
	kept, err := s.kept()
	if err != nil {
		return program{}, fmt.Errorf("folder for programs: %w", err)
	}
	unlock, err := lock(kept + ".lock")
	if err != nil {
		return program{}, fmt.Errorf("folder for programs: %w", err)
	}
	defer unlock() //nolint:errcheck // closing a file that nothing was written to
	var output bytes.Buffer
	err = run(ctx, process.Spec{
		Path: compiler,
		Args: []string{"build", "-trimpath", "-buildvcs=false", "-tags", s.Tags, "-gcflags", s.Gcflags, "-ldflags", s.localLdflags(), "-o", kept, s.Package},
		// The user's settings hold, except those that would make a program for another machine.
		Env:    append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH),
		Stdout: &output,
		Stderr: &output,
	})
	if err != nil {
		where, _ := os.Getwd()
		return program{}, fmt.Errorf("go build %s in %s: %w\n%s", s.Package, where, err, bytes.TrimSpace(output.Bytes()))
	}
	bootstrap := filepath.Join(dir, "bootstrap")
	if err := own(kept, bootstrap); err != nil {
		return program{}, err
	}
	return program{path: bootstrap, root: dir}, nil
}

// localLdflags are the template's without an empty build id: by the build id the go command knows a program
// that is up to date, and linking takes most of a start.
func (s *source) localLdflags() string { return strings.ReplaceAll(s.Ldflags, "-buildid=", "") }

// kept is where the program stays from run to run, in the user's cache folder.
func (s *source) kept() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	module, err := os.Getwd()
	if err != nil {
		return "", err
	}
	what := sha256.Sum256([]byte(strings.Join([]string{module, s.Package, s.Tags, s.Gcflags, s.Ldflags}, "\x00")))
	dir := filepath.Join(cache, "transactional-outbox", "functions", hex.EncodeToString(what[:8]))
	return filepath.Join(dir, "bootstrap"), os.MkdirAll(dir, 0o755)
}

// lock waits until no other run builds the program. The kernel releases it however we end.
func lock(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil
}

// own gives the run a name of its own for the program, so that a later build beside it does not change
// what runs: the go command replaces a program and does not write into it.
func own(kept, bootstrap string) error {
	if err := os.MkdirAll(filepath.Dir(bootstrap), 0o755); err != nil {
		return err
	}
	if err := os.Remove(bootstrap); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(kept, bootstrap) == nil {
		return nil
	}
	content, err := os.ReadFile(kept) // the cache is on another disk
	if err != nil {
		return err
	}
	return os.WriteFile(bootstrap, content, 0o755)
}

// run runs a program to its end, or kills it when ctx is done.
func run(ctx context.Context, spec process.Spec) error {
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		p.Kill()
		return ctx.Err()
	}
}

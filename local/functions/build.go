package functions

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/outboxkit/transactional-outbox/local/process"
	"github.com/outboxkit/transactional-outbox/local/toolchain"
)

// source is a Go main package and how it was compiled for the template's asset.
type source struct {
	Package string `json:"package"`
	Tags    string `json:"tags"`
	Ldflags string `json:"ldflags"`
}

// build compiles the package for this machine. The import path is resolved in the module of the working
// directory. The error holds the compiler's output.
func (s *source) build(ctx context.Context, dir string) (program, error) {
	compiler, err := toolchain.Go(ctx)
	if err != nil {
		return program{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return program{}, err
	}
	bootstrap := filepath.Join(dir, "bootstrap")
	var output bytes.Buffer
	err = run(ctx, process.Spec{
		Path: compiler,
		Args: []string{"build", "-trimpath", "-buildvcs=false", "-tags", s.Tags, "-ldflags", s.Ldflags, "-o", bootstrap, s.Package},
		// The user's settings hold, except those that would make a program for another machine.
		Env:    append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH),
		Stdout: &output,
		Stderr: &output,
	})
	if err != nil {
		where, _ := os.Getwd()
		return program{}, fmt.Errorf("go build %s in %s: %w\n%s", s.Package, where, err, bytes.TrimSpace(output.Bytes()))
	}
	return program{path: bootstrap, root: dir}, nil
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

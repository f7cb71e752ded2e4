package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// metadataKey is where the golambda construct says how it built a function.
const metadataKey = "outboxkit:golambda"

// A source is a Go main package and how it was compiled for the template's asset.
type source struct {
	// Source is the folder of the package, relative to the assembly.
	Source string `json:"source"`
	gobuild.Settings
}

// goSource returns what the template says about a function's source, or nil. The template may be a stranger's:
// what is not known is refused, as is what would make the go command run a program or write elsewhere.
func goSource(r template.Resource) (*source, error) {
	raw, ok := r.Metadata[metadataKey]
	if !ok {
		return nil, nil
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", metadataKey, err)
	}
	var s source
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, fmt.Errorf("metadata %s: %w: it was written by another version, run cdk synth again", metadataKey, err)
	}
	err = s.Validate()
	if s.Source == "" || filepath.IsAbs(s.Source) {
		err = errors.Join(fmt.Errorf("source must be a folder relative to the cloud assembly, got %q", s.Source), err)
	}
	if err != nil {
		return nil, fmt.Errorf("metadata %s: %w", metadataKey, err)
	}
	return &s, nil
}

// target returns the build of the source for this machine.
func (s *Service) target(src *source) gobuild.Target {
	return gobuild.Target{
		Dir:      filepath.Join(s.app, filepath.FromSlash(src.Source)),
		GOOS:     runtime.GOOS,
		GOARCH:   runtime.GOARCH,
		Settings: src.Settings,
	}
}

// buildDeclared builds the functions that the stack declares, in the background, by as few go commands as
// possible. What is wrong with one is reported when it is provisioned.
func (s *Service) buildDeclared() {
	var targets []gobuild.Target
	for _, r := range s.cfg.Declared {
		if src, err := goSource(r); err == nil && src != nil {
			targets = append(targets, s.target(src))
		}
	}
	if len(targets) > 0 {
		work := s.builder.Together(targets)
		s.spawn(func() { work(s.life) })
	}
}

// build compiles the source and gives the run a name of its own for the program in dir, so that a later build
// does not change what runs. The error holds the compiler's output.
func (s *Service) build(ctx context.Context, src *source, dir string) (program, error) {
	t := s.target(src)
	if info, err := os.Stat(t.Dir); err != nil || !info.IsDir() {
		return program{}, fmt.Errorf("its source folder %s is not there: run cdk synth again, and leave the cloud assembly where it was written", t.Dir)
	}
	built, err := s.builder.Program(ctx, t)
	if err != nil {
		return program{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return program{}, err
	}
	bootstrap := filepath.Join(dir, "bootstrap")
	if err := gobuild.Take(built, bootstrap); err != nil {
		return program{}, err
	}
	return program{path: bootstrap, root: dir}, nil
}

// goCommand is a gobuild.Runner whose commands end with us.
func goCommand(ctx context.Context, dir string, env, args []string) ([]byte, error) {
	compiler, err := toolchain.Go(ctx)
	if err != nil {
		return nil, err
	}
	var output bytes.Buffer
	p, err := process.Start(process.Spec{Path: compiler, Args: args, Dir: dir, Env: env, Stdout: &output, Stderr: &output})
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Done():
		return output.Bytes(), p.Err()
	case <-ctx.Done():
		p.Kill()
		return nil, ctx.Err()
	}
}

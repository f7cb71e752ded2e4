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
	// Origin is in its place for a package of a module that the app depends on, with the app's folder, relative to the
	// assembly.
	gobuild.Origin
	App string `json:"app"`
	gobuild.Settings
}

// validate returns an error that joins all that is wrong with the source.
func (s *source) validate() error {
	err := s.Settings.Validate()
	if s.Module == "" && s.Package == "" && s.App == "" {
		return errors.Join(relativeFolder("source", s.Source), err)
	}
	if s.Source != "" {
		err = errors.Join(fmt.Errorf("source must not stand next to module, got %q", s.Source), err)
	}
	return errors.Join(relativeFolder("app", s.App), s.Origin.Validate(), err)
}

func relativeFolder(name, folder string) error {
	if folder == "" || filepath.IsAbs(folder) {
		return fmt.Errorf("%s must be a folder relative to the cloud assembly, got %q", name, folder)
	}
	return nil
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
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("metadata %s: %w", metadataKey, err)
	}
	return &s, nil
}

// target returns the build of the source for this machine. app is the folder of the template that names it.
func (s *Service) target(ctx context.Context, builder *gobuild.Builder, app string, src *source) (gobuild.Target, error) {
	app = template.RealPath(app) // ".." must not lead through a symbolic link
	t := gobuild.Target{
		Dir:      filepath.Join(app, filepath.FromSlash(src.Source)),
		GOOS:     runtime.GOOS,
		GOARCH:   runtime.GOARCH,
		Settings: src.Settings,
	}
	if src.Module != "" {
		found, err := builder.Find(ctx, filepath.Join(app, filepath.FromSlash(src.App)), src.Origin)
		if err != nil {
			return t, fmt.Errorf("%w: run cdk synth again, and leave the cloud assembly where it was written", err)
		}
		t.Dir, t.Standalone = found.Dir, !found.Own
		return t, nil
	}
	if info, err := os.Stat(t.Dir); err != nil || !info.IsDir() {
		return t, fmt.Errorf("its source folder %s is not there: run cdk synth again, and leave the cloud assembly where it was written", t.Dir)
	}
	return t, nil
}

// buildDeclared builds the functions that the stack declares, in the background. What is wrong with one is reported when it
// is provisioned.
func (s *Service) buildDeclared() {
	if len(s.cfg.Declared) > 0 {
		work := s.together(s.life, s.builder, s.cfg.Declared)
		s.spawn(func() { work(s.life) })
	}
}

// build compiles the source that a template in the folder app names, and gives the run a name of its own for the program in
// dir, so that a later build does not change what runs. The error holds the compiler's output.
func (s *Service) build(ctx context.Context, builder *gobuild.Builder, app string, src *source, dir string) (program, error) {
	t, err := s.target(ctx, builder, app, src)
	if err != nil {
		return program{}, err
	}
	built, err := builder.Program(ctx, t)
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

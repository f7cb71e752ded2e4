package gobuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// An Origin is where a main package is that an app takes from a module it depends on. It is written into templates and
// read from them, and a template may be a stranger's: see Validate.
type Origin struct {
	// Module is the module's path: "github.com/outboxkit/transactional-outbox".
	Module string `json:"module,omitempty"`
	// Package is the folder of the main package in the module, with slashes: "constructs/functions/heartbeat".
	Package string `json:"package,omitempty"`
}

// allModules are names that stand for several modules. Source: go help packages.
var allModules = []string{"all", "cmd", "main", "std", "tool", "work"}

// Validate returns an error that joins all that is wrong with the origin, or nil. One without errors names one module and
// a folder within it.
func (o Origin) Validate() error {
	var problems []error
	if err := module.CheckImportPath(o.Module); err != nil || slices.Contains(allModules, o.Module) {
		problems = append(problems, fmt.Errorf("Module must be the path of a module, got %q", o.Module))
	}
	if o.Package == "." || module.CheckImportPath("m/"+o.Package) == nil {
		return errors.Join(problems...)
	}
	return errors.Join(append(problems, fmt.Errorf("Package must be a folder in the module, got %q", o.Package))...)
}

// A Found is where the package of an Origin is on this machine.
type Found struct {
	Dir string // absolute
	// Own reports whether the module is the app's, or one of the app's go.work. Else it is built by its own go.mod and
	// go.sum alone: what its programs need, the app's need not name.
	Own bool
}

// Find returns where the package is, as the go.mod of the app in the folder dir says: in the app's own module, in a
// folder that replaces the module, or in the module cache. Nothing in the app's folder is changed, and what a vendor
// folder leaves out is found as well. A module that is not in the cache yet is downloaded.
func (b *Builder) Find(ctx context.Context, dir string, o Origin) (Found, error) {
	key := strings.Join([]string{dir, o.Module, o.Package}, "\x00")
	b.mu.Lock()
	found, known := b.places[key]
	b.mu.Unlock()
	if known {
		return found, nil
	}
	found, err := b.find(ctx, dir, o)
	if err != nil {
		return Found{}, fmt.Errorf("module %q of the app in %s: %w", o.Module, dir, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places[key] = found
	return found, nil
}

func (b *Builder) find(ctx context.Context, dir string, o Origin) (Found, error) {
	if err := o.Validate(); err != nil {
		return Found{}, err
	}
	listed, err := b.list(ctx, dir, o.Module)
	if err == nil && listed.dir == "" {
		if err = b.download(ctx, listed.version); err == nil {
			listed, err = b.list(ctx, dir, o.Module)
		}
	}
	if err != nil {
		return Found{}, err
	}
	if listed.dir == "" {
		return Found{}, errors.New("it is not in the module cache: run `go mod download` there")
	}
	at, err := filepath.EvalSymlinks(filepath.Join(listed.dir, filepath.FromSlash(o.Package)))
	if err != nil {
		return Found{}, fmt.Errorf("it must have the package %s: %w", path.Join(o.Module, o.Package), err)
	}
	return Found{Dir: at, Own: listed.own}, nil
}

// A listing is what the go command prints of a module.
type listing struct {
	own     bool
	version string // path@version of what is downloaded for it
	dir     string // empty while it is not in the cache
}

// listFormat prints one line, whose fields have no tabs in them.
const listFormat = "{{.Main}}\t{{with .Replace}}{{.Path}}@{{.Version}}{{else}}{{.Path}}@{{.Version}}{{end}}\t{{.Dir}}"

// list asks for a module. -mod=readonly, whatever GOFLAGS say: with -mod=mod the go command might write the app's go.mod,
// and a vendor folder holds only what the app itself imports.
func (b *Builder) list(ctx context.Context, dir, modulePath string) (listing, error) {
	output, err := b.run(ctx, dir, childenv.Go(), []string{"list", "-mod=readonly", "-m", "-f", listFormat, modulePath})
	output = bytes.TrimRight(output, "\n")
	if err != nil {
		return listing{}, fmt.Errorf("go list -m: %w\n%s\nIts go.mod must require the module", err, output)
	}
	line := output[bytes.LastIndexByte(output, '\n')+1:] // notices may stand before it
	fields := strings.Split(string(line), "\t")
	if len(fields) != 3 {
		return listing{}, fmt.Errorf("go list -m must print three fields, got %q", line)
	}
	return listing{own: fields[0] == "true", version: fields[1], dir: fields[2]}, nil
}

// download fetches a version of a module into the cache, from a folder without a go.sum that it could write.
func (b *Builder) download(ctx context.Context, version string) error {
	nowhere, err := os.MkdirTemp("", "gobuild-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(nowhere)
	env := append(childenv.Go(), "GOWORK=off", "GOFLAGS=")
	if output, err := b.run(ctx, nowhere, env, []string{"mod", "download", version}); err != nil {
		return fmt.Errorf("go mod download %s: %w\n%s", version, err, bytes.TrimSpace(output))
	}
	return nil
}

// ofTheApp reports whether a flag of GOFLAGS is about the module that the app is in, and no other.
func ofTheApp(flag string) bool {
	return strings.HasPrefix(flag, "-mod=") || strings.HasPrefix(flag, "-modfile=")
}

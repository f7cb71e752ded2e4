package golambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// bootstrap is the name under which an OS-only runtime starts the program.
// Source: Lambda developer guide, runtimes-provided.
const bootstrap = "bootstrap"

// BuildOptions are how the go command builds a program.
type BuildOptions struct {
	// Tags are build tags, besides lambda.norpc and those that GOFLAGS names.
	// Default: none.
	Tags *[]*string
	// LDFlags are flags of the linker, one flag with its value an element, besides "-s", "-w" and those that
	// GOFLAGS names: -X name=value, -buildid, -checklinkname or -compressdwarf.
	// Default: none.
	LDFlags *[]*string
	// Flags are further flags of go build, one flag with its value an element: -mod, -modfile, -pgo, -cover,
	// -buildmode=exe or pie, and -gcflags. Others can be set by GOFLAGS.
	// Default: none.
	Flags *[]*string
}

// settings are the options in plain Go. A nil receiver counts as no options.
func (b *BuildOptions) settings() gobuild.Settings {
	if b == nil {
		return gobuild.Settings{}
	}
	return gobuild.Settings{Tags: texts(b.Tags), LDFlags: texts(b.LDFlags), Flags: texts(b.Flags)}
}

func texts(list *[]*string) []string {
	if list == nil {
		return nil
	}
	all := make([]string, len(*list))
	for i, text := range *list {
		if text != nil { // an empty one is refused by name
			all[i] = *text
		}
	}
	return all
}

// validate returns what is wrong with the options.
func (b *BuildOptions) validate() error {
	err := b.settings().Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var problems []error
	for _, problem := range joined.Unwrap() {
		problems = append(problems, fmt.Errorf("Build.%w", problem))
	}
	return errors.Join(problems...)
}

// builder builds each program once per process, however many stacks have the function.
var builder = gobuild.New(func(ctx context.Context, dir string, env, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd.CombinedOutput()
})

// goarch is Go's name of each architecture.
var goarch = map[Architecture]string{ARM64: "arm64", X86: "amd64"}

// A source is where the main package of a function is, and how to build it.
type source struct {
	gobuild.Target
	origin gobuild.Origin // where it is of a module that the app depends on, else nothing
}

// newSource returns the main package in the folder entry: of the module, or where there is none of the app's folder.
func newSource(modulePath *string, entry string, architecture Architecture, settings gobuild.Settings) (source, error) {
	s := source{Target: gobuild.Target{GOOS: "linux", GOARCH: goarch[architecture], Settings: settings}}
	if modulePath != nil {
		origin := gobuild.Origin{Module: *modulePath, Package: entry}
		app, err := os.Getwd()
		if err != nil {
			return source{}, err
		}
		found, err := builder.Find(context.Background(), app, origin)
		if err != nil {
			return source{}, err
		}
		s.Dir = found.Dir
		if !found.Own {
			s.Standalone, s.origin = true, origin
		}
		return s, nil
	}
	dir, err := filepath.Abs(entry)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // the folder in the template's metadata must not lead through one
	}
	if err != nil {
		return source{}, fmt.Errorf("entry %q: %w", entry, err)
	}
	s.Dir = dir
	return s, nil
}

// A code is a folder to make a function's asset from: one that holds nothing but the program, or the
// source where nothing is to be built. CDK copies it into the cloud assembly while the function is made;
// discard removes it afterwards.
type code struct {
	dir     string
	hash    *string // of the asset; nil leaves it to CDK
	discard func()
}

// bundle builds the target and returns its code. With staging, CDK copies it; otherwise it stays where it is.
func bundle(t gobuild.Target, staging bool) (code, error) {
	program, err := builder.Program(context.Background(), t)
	if err != nil {
		return code{}, err
	}
	c := code{dir: filepath.Dir(program), discard: func() {}}
	if staging {
		// In a folder of our own, since another process may build the program anew while CDK copies it.
		if c.dir, err = os.MkdirTemp("", "golambda-"); err != nil {
			return code{}, err
		}
		c.discard = func() { os.RemoveAll(c.dir) }
		err = gobuild.Take(program, filepath.Join(c.dir, bootstrap))
	}
	if err == nil {
		c.hash, err = assetHash(filepath.Join(c.dir, bootstrap))
	}
	if err != nil {
		c.discard()
	}
	return c, err
}

// assetHash returns a hash of the program and its mode. CDK's own leaves out the mode, without which Lambda
// cannot start the program: one that was uploaded with a wrong mode would stay.
func assetHash(program string) (*string, error) {
	file, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %o\n", bootstrap, info.Mode().Perm())
	if _, err := io.Copy(hash, file); err != nil {
		return nil, err
	}
	return jsii.String(hex.EncodeToString(hash.Sum(nil))), nil
}

package gobuild

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A Target is one program to build.
type Target struct {
	// Dir is the absolute path of the folder of its main package.
	Dir string
	// GOOS and GOARCH of the machine that runs it.
	GOOS, GOARCH string
	Settings     Settings
	// Standalone is for a package of a module that the app depends on (see [Builder.Find]). It is built by that module's
	// own go.mod and go.sum: go.work, and -mod and -modfile in GOFLAGS, are about the app.
	Standalone bool
}

// key distinguishes targets.
func (t Target) key() string {
	parts := []string{t.Dir, t.GOOS, t.GOARCH}
	if t.Standalone {
		parts = append(parts, "standalone")
	}
	return strings.Join(slices.Concat(parts, t.Settings.env(), t.Settings.args()), "\x00")
}

// env is the environment of the go command that builds it.
func (t Target) env(inherited []string) []string {
	env := slices.Concat(inherited, t.Settings.env(),
		[]string{"GOOS=" + t.GOOS, "GOARCH=" + t.GOARCH, "CGO_ENABLED=0", "GOARM64=v8.0", "GOAMD64=v1"})
	if t.Standalone {
		env = append(env, "GOWORK=off")
	}
	return env
}

// effective returns the settings with which the target is built where the environment says so.
func (t Target) effective(environment Settings) Settings {
	if t.Standalone {
		environment.Flags = slices.DeleteFunc(slices.Clone(environment.Flags), ofTheApp)
	}
	return t.Settings.with(environment)
}

// args returns the arguments of go build for the settings. The settings' own flags come last and hold.
func (t Target) args(effective Settings) []string {
	if !t.Standalone {
		return effective.args()
	}
	// The module cache is read-only, and an empty -modfile is none, whatever GOFLAGS say.
	return append([]string{"-mod=readonly", "-modfile="}, effective.args()...)
}

// A located target is one whose module is known.
type located struct {
	Target
	module string // folder of the nearest go.mod, or Dir where there is none
	pkg    string // the package in the module, as an argument: "./lambdas/one"
	name   string // how the go command calls its program, or "" where that is not sure
}

// locate finds the target's module.
func locate(t Target) (located, error) {
	module, modulePath := moduleOf(t.Dir)
	below, err := filepath.Rel(module, t.Dir)
	if err != nil {
		return located{}, err
	}
	below = filepath.ToSlash(below)
	if strings.Contains(below, "...") {
		return located{}, errors.New(`its folder must not have "..." in its name, which stands for many packages`)
	}
	l := located{Target: t, module: module, pkg: "./" + below}
	if below == "." {
		l.pkg = "."
	}
	if modulePath != "" {
		l.name = programName(path.Join(modulePath, below), t.GOOS)
	}
	return l, nil
}

// moduleOf returns the folder of the nearest go.mod from dir upwards, with the module's path.
func moduleOf(dir string) (folder, modulePath string) {
	for at := dir; ; at = filepath.Dir(at) {
		if content, err := os.ReadFile(filepath.Join(at, "go.mod")); err == nil {
			return at, modfile.ModulePath(content)
		}
		if at == filepath.Dir(at) {
			return dir, ""
		}
	}
}

var majorVersion = regexp.MustCompile(`^v([2-9]|[1-9][0-9]+)$`)

// programName is how the go command calls a package's program: by the last element of the import path that is
// not a major version. Source: go help install.
func programName(importPath, goos string) string {
	name := path.Base(importPath)
	if majorVersion.MatchString(name) && name != importPath {
		name = path.Base(path.Dir(importPath))
	}
	if goos == "windows" {
		name += ".exe"
	}
	return name
}

// digest is a short name for a text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// Package toolchain finds the programs that the local run needs. Its errors tell in one line what to do when one
// is missing or too old.
package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// Java returns the path of a Java of version 17 or later: $JAVA_HOME's, or the one on the PATH.
func Java(ctx context.Context) (string, error) {
	path := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path = filepath.Join(home, "bin", "java")
	}
	return program{
		path: path,
		// java -version writes to stderr: openjdk version "17.0.15" 2025-04-15
		args:    []string{"-version"},
		version: regexp.MustCompile(`version "(\d+)`),
		least:   17,
		remedy:  "DynamoDB Local needs Java 17 or later: install it, or point JAVA_HOME at it",
	}.find(ctx)
}

// Node returns the path of a Node.js of version 22 or later: the project's own, in node_modules of the
// working directory or a folder above it, or the one on the PATH.
func Node(ctx context.Context) (string, error) {
	path := "node"
	if own, ok := above(filepath.Join("node_modules", ".bin", "node")); ok {
		path = own
	}
	return program{
		path:    path,
		args:    []string{"-p", "`${process.version} ${process.execPath}`"},
		version: regexp.MustCompile(`(?m)^v(\d+)\S* (.+)$`),
		least:   22,
		remedy:  "the local run needs Node.js 22 or later: run `npm ci`, which brings it into node_modules",
	}.find(ctx)
}

// Python returns the path of the Python 3 on the PATH. Only functions written in Python need it.
func Python(ctx context.Context) (string, error) {
	return program{
		path:    "python3",
		args:    []string{"-c", "import sys; print('Python', sys.version_info[0], sys.executable)"},
		version: regexp.MustCompile(`(?m)^Python (\d+) (.+)$`),
		least:   3,
		remedy:  "a function written in Python needs Python 3: install it",
	}.find(ctx)
}

// Go returns the path of the go command on the PATH.
func Go(ctx context.Context) (string, error) {
	return program{
		path:    "go",
		args:    []string{"version"},
		env:     childenv.Go, // go.mod may ask for another version, which it then fetches
		version: regexp.MustCompile(`go version \D*(\d+)`),
		least:   1,
		remedy:  "functions written in Go are compiled for this machine: install Go from https://go.dev/dl",
	}.find(ctx)
}

// Package returns the folder of an npm package in node_modules of the working directory or a folder above it.
func Package(name string) (string, error) {
	manifest, ok := above(filepath.Join("node_modules", name, "package.json"))
	if !ok {
		return "", fmt.Errorf("the npm package %q is not installed: run `npm ci` (in an app of your own: `npm install --save-dev %s`)", name, name)
	}
	return filepath.Dir(manifest), nil
}

// A program is one to be found on this machine.
type program struct {
	path string   // where it is, or its name for a look on the PATH
	args []string // make it print its version
	// version finds the major version in what it prints and, where there is a second group, the path of the
	// program itself: the one on the PATH may be a version manager's, which needs the user's environment.
	version *regexp.Regexp
	env     func() []string // what it sees of our environment; default: childenv.Base
	least   int             // oldest major version that will do
	remedy  string          // what to do when it is missing or too old
}

// find checks that the program runs and is recent enough.
func (p program) find(ctx context.Context) (string, error) {
	found, err := exec.LookPath(p.path)
	if err != nil {
		return "", fmt.Errorf("%s not found: %s", p.path, p.remedy)
	}
	cmd := exec.CommandContext(ctx, found, p.args...)
	cmd.Env = childenv.Base()
	if p.env != nil {
		cmd.Env = p.env()
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s does not run (%w): %s", found, err, p.remedy)
	}
	match := p.version.FindSubmatch(out)
	if match == nil {
		return "", fmt.Errorf("%s prints no version: %s", found, p.remedy)
	}
	if major, _ := strconv.Atoi(string(match[1])); major < p.least {
		return "", fmt.Errorf("%s is version %d: %s", found, major, p.remedy)
	}
	if len(match) > 2 {
		return string(match[2]), nil
	}
	return found, nil
}

// above returns the path of the nearest file of that name, seen from the working directory upwards.
func above(name string) (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

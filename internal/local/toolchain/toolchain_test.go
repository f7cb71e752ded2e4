package toolchain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// machine is a PATH and a working directory of the test's own.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) machine {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := machine{t, root}
	m.mkdir("app/sub")
	t.Chdir(m.path("app/sub"))
	t.Setenv("PATH", m.path("bin"))
	t.Setenv("JAVA_HOME", "")
	return m
}

func (m machine) path(name string) string { return filepath.Join(m.root, name) }

func (m machine) mkdir(name string) {
	m.t.Helper()
	if err := os.MkdirAll(m.path(name), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// install puts a shell script there.
func (m machine) install(name, script string) {
	m.t.Helper()
	m.mkdir(filepath.Dir(name))
	if err := os.WriteFile(m.path(name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// says is a script that prints a line and its own path where the real program prints its own.
func says(line string) string { return `echo "` + strings.ReplaceAll(line, "SELF", "$0") + `"` }

func TestFind(t *testing.T) {
	tests := map[string]struct {
		install map[string]string
		env     map[string]string
		find    func(context.Context) (string, error)
		want    string // path in the machine
		err     string // in the error, with %ROOT% for the machine's folder
	}{
		"java on the PATH": {
			install: map[string]string{"bin/java": `echo 'openjdk version "17.0.15" 2025-04-15' >&2`},
			find:    toolchain.Java, want: "bin/java",
		},
		"java of JAVA_HOME comes first": {
			install: map[string]string{"bin/java": `exit 1`, "jdk/bin/java": `echo 'openjdk version "21" 2023-09-19' >&2`},
			env:     map[string]string{"JAVA_HOME": "jdk"},
			find:    toolchain.Java, want: "jdk/bin/java",
		},
		"java too old": {
			install: map[string]string{"bin/java": `echo 'openjdk version "11.0.2" 2019-01-15' >&2`},
			find:    toolchain.Java, err: "%ROOT%/bin/java is version 11: DynamoDB Local needs Java 17 or later",
		},
		"java 8 counts from 1": {
			install: map[string]string{"bin/java": `echo 'java version "1.8.0_202"' >&2`},
			find:    toolchain.Java, err: "/bin/java is version 1: ",
		},
		"java missing": {find: toolchain.Java, err: "java not found: DynamoDB Local needs Java 17 or later: install it"},
		"java does not run": {
			install: map[string]string{"bin/java": `echo broken >&2; exit 1`},
			find:    toolchain.Java, err: "%ROOT%/bin/java does not run (exit status 1): ",
		},
		"java without a version": {
			install: map[string]string{"bin/java": `echo hello`},
			find:    toolchain.Java, err: "prints no version: ",
		},
		"JAVA_HOME without a java": {
			env:  map[string]string{"JAVA_HOME": "jdk"},
			find: toolchain.Java, err: "%ROOT%/jdk/bin/java not found: ",
		},
		"node on the PATH": {
			install: map[string]string{"bin/node": says("v22.5.0 SELF")},
			find:    toolchain.Node, want: "bin/node",
		},
		"node behind a version manager": {
			install: map[string]string{"bin/node": says("v24.1.0 $(dirname $0)/../versions/24/node")},
			find:    toolchain.Node, want: "bin/../versions/24/node",
		},
		"the project's own node comes first": {
			install: map[string]string{"bin/node": says("v99.0.0 SELF"), "app/sub/node_modules/.bin/node": says("v22.5.0 SELF")},
			find:    toolchain.Node, want: "app/sub/node_modules/.bin/node",
		},
		"the project's own node in a folder above": {
			install: map[string]string{"bin/node": says("v20.0.0 SELF"), "app/node_modules/.bin/node": says("v22.5.0 SELF")},
			find:    toolchain.Node, want: "app/node_modules/.bin/node",
		},
		"node too old": {
			install: map[string]string{"bin/node": says("v20.20.2 SELF")},
			find:    toolchain.Node, err: "%ROOT%/bin/node is version 20: the local run needs Node.js 22 or later: run `npm ci`",
		},
		"node prints warnings too": {
			install: map[string]string{"bin/node": `echo "(node:1) Warning: v1 is old" >&2; ` + says("v22.5.0 SELF")},
			find:    toolchain.Node, want: "bin/node",
		},
		"node missing": {find: toolchain.Node, err: "node not found: "},
		"python": {
			install: map[string]string{"bin/python3": says("Python 3 SELF")},
			find:    toolchain.Python, want: "bin/python3",
		},
		"python missing": {find: toolchain.Python, err: "python3 not found: a function written in Python needs Python 3"},
		"go": {
			install: map[string]string{"bin/go": says("go version go1.26.8 linux/amd64")},
			find:    toolchain.Go, want: "bin/go",
		},
		"go missing": {find: toolchain.Go, err: "go not found: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			for path, script := range tt.install {
				m.install(path, script)
			}
			// dirname is all that the scripts above need.
			m.install("bin/dirname", `echo "${1%/*}"`)
			for key, folder := range tt.env {
				t.Setenv(key, m.path(folder))
			}
			got, err := tt.find(t.Context())
			if tt.err != "" {
				want := strings.ReplaceAll(tt.err, "%ROOT%", m.root)
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("error is %v, want one with %q", err, want)
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("error has more than one line: %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := m.root + "/" + tt.want; got != want {
				t.Errorf("found %s, want %s", got, want)
			}
		})
	}
}

func TestFindStopsWithTheContext(t *testing.T) {
	m := newMachine(t)
	m.install("bin/java", "exit 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := toolchain.Java(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}

func TestPackage(t *testing.T) {
	m := newMachine(t)
	m.mkdir("app/sub/node_modules/empty")
	m.install("app/sub/node_modules/here/package.json", "{}")
	m.install("app/node_modules/above/package.json", "{}")
	m.install("app/node_modules/@scope/name/package.json", "{}")
	for name, want := range map[string]string{
		"here":        "app/sub/node_modules/here",
		"above":       "app/node_modules/above",
		"@scope/name": "app/node_modules/@scope/name",
	} {
		got, err := toolchain.Package(name)
		if err != nil || got != m.path(want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, m.path(want))
		}
	}
	for _, name := range []string{"missing", "empty"} {
		want := "the npm package \"" + name + "\" is not installed: run `npm ci` (in an app of your own: `npm install --save-dev " + name + "`)"
		if _, err := toolchain.Package(name); err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", name, err, want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	for name, find := range map[string]func(context.Context) (string, error){
		"java": toolchain.Java, "node": toolchain.Node, "go": toolchain.Go,
	} {
		path, err := find(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			t.Errorf("%s: %s is not a program (%v)", name, path, err)
		}
	}
}

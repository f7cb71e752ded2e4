package gobuild_test

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

func TestModules(t *testing.T) {
	library := func(text string) string { return "package lib\n\nconst Text = \"" + text + "\"\n" }
	const prints = "package main\n\nimport \"example.com/lib\"\n\nfunc main() { print(lib.Text) }\n"
	const needs = "\nrequire example.com/lib v1.0.0\n"
	w := newWorld(t, map[string]string{
		"go.mod": goMod, "one/main.go": says("one"),
		"own/go.mod": "module example.com/own\n\ngo 1.25\n", "own/main.go": says("a module of its own"),

		"replaced/go.mod": goMod + needs + "replace example.com/lib => ../libs/replaced\n", "replaced/fn/main.go": prints,
		"libs/replaced/go.mod": "module example.com/lib\n", "libs/replaced/lib.go": library("replaced"),

		"vendored/go.mod": goMod + needs, "vendored/fn/main.go": prints,
		"vendored/vendor/modules.txt":            "# example.com/lib v1.0.0\n## explicit\nexample.com/lib\n",
		"vendored/vendor/example.com/lib/lib.go": library("vendored"),
		"workspace/go.work":                      "go 1.25\n\nuse (\n\t./app\n\t./lib\n)\n",
		"workspace/app/go.mod":                   goMod, "workspace/app/fn/main.go": prints,
		"workspace/lib/go.mod": "module example.com/lib\n", "workspace/lib/lib.go": library("workspace"),
	})
	folders := map[string]string{"one": "one", "own": "a module of its own", "replaced/fn": "replaced", "vendored/fn": "vendored", "workspace/app/fn": "workspace"}
	var all []gobuild.Target
	for folder := range folders {
		all = append(all, w.target(folder))
	}
	w.Together(all)(t.Context())
	for folder, want := range folders {
		w.check(w.target(folder), want)
	}
}

// What GOFLAGS and the settings say is both in force.
func TestGOFLAGSHold(t *testing.T) {
	t.Setenv("GOFLAGS", `-tags=fromenv '-ldflags=-X main.a=1 -X "main.b=two words"' -mod=mod`)
	w := newWorld(t, map[string]string{
		"go.mod": goMod, "fn/main.go": "package main\n\nvar a, b, c, tags string\n\nfunc main() { print(a, b, c, tags) }\n",
		"fn/env.go":   "//go:build fromenv\n\npackage main\n\nfunc init() { tags += \" env\" }\n",
		"fn/own.go":   "//go:build fromsettings\n\npackage main\n\nfunc init() { tags += \" settings\" }\n",
		"fn/every.go": "//go:build lambda.norpc\n\npackage main\n\nfunc init() { tags += \" every\" }\n",
	})
	target := w.target("fn")
	target.Settings = gobuild.Settings{Tags: []string{"fromsettings"}, LDFlags: []string{"-X main.c=it's"}}
	w.check(target, "1two wordsit's env every settings")
	got, err := w.Effective(t.Context(), target)
	if err != nil || strings.Join(got.Tags, " ") != "lambda.norpc fromenv fromsettings" || strings.Join(got.LDFlags, "|") != "-s|-w|-X main.a=1|-X main.b=two words|-X main.c=it's" {
		t.Errorf("the effective settings are %q, %v", got, err)
	}
}

// What held at synth holds for a build with the effective settings in another shell.
func TestTheEffectiveSettingsMakeTheSameProgramInAnotherShell(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod '-gcflags=-N -l' --pgo=off -v -p=2")
	t.Setenv("GOEXPERIMENT", "jsonv2")
	t.Setenv("GOFIPS140", "latest")
	w := newWorld(t, map[string]string{
		"go.mod": goMod, "fn/main.go": "package main\n\nvar experiment string\n\nfunc main() { print(\"ran\", experiment) }\n",
		"fn/jsonv2.go": "//go:build goexperiment.jsonv2\n\npackage main\n\nfunc init() { experiment = \" with jsonv2\" }\n",
	})
	want := buildInfo(t, w.program(w.target("fn")))
	effective, err := w.Effective(t.Context(), gobuild.Target{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(effective.Flags, "|"); got != "-mod=mod|-gcflags=-N -l|-pgo=off" {
		t.Errorf("the effective flags are %q", got)
	}
	for _, name := range []string{"GOFLAGS", "GOEXPERIMENT", "GOFIPS140"} {
		t.Setenv(name, "")
	}
	w.again()
	target := w.target("fn")
	target.Settings = effective
	program := w.program(target)
	if got := buildInfo(t, program); got != want {
		t.Errorf("the other shell's program was built with\n%s\nwant\n%s", got, want)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil || string(out) != "ran with jsonv2" {
		t.Errorf("it prints %q (%v)", out, err)
	}
}

// buildInfo returns how the go command reports that it has built a program.
func buildInfo(t *testing.T, program string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return info.String()
}

func TestGOFLAGSThatAreRefused(t *testing.T) {
	for flags, want := range map[string]string{
		"-ldflags=-extld=/bin/true": `LDFlags must be`,
		"'-tags=a":                  "GOFLAGS", // the go command's own words
	} {
		t.Setenv("GOFLAGS", flags)
		w := newWorld(t, map[string]string{"go.mod": goMod, "fn/main.go": says("x")})
		if _, err := w.Program(t.Context(), w.target("fn")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want one with %q", flags, err, want)
		}
	}
}

// The same source makes the same program, whatever else is in the environment and wherever it is built.
func TestSameSourceSameProgram(t *testing.T) {
	files := map[string]string{"fn/main.go": says("x")}
	build := func(t *testing.T) []byte {
		w := newWorld(t, files)
		w.write(map[string]string{"go.mod": goMod})
		target := w.target("fn")
		target.GOOS, target.GOARCH = "linux", "arm64"
		path := w.program(target)
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o755 {
			t.Errorf("its mode is %v, want 0755 (%v)", info.Mode(), err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	want := build(t)
	for name, value := range map[string]string{
		"GOOS": "windows", "GOARCH": "mips", "GOARM64": "v9.0", "GOAMD64": "v3", "CGO_ENABLED": "1", "GO_EXTLINK_ENABLED": "1", "GOFLAGS": "-trimpath=false -buildvcs=true", "GOTMPDIR": t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if !bytes.Equal(build(t), want) {
				t.Errorf("%s=%s makes another program", name, value)
			}
		})
	}
	t.Run("umask", func(t *testing.T) {
		defer syscall.Umask(syscall.Umask(0o077))
		if !bytes.Equal(build(t), want) {
			t.Error("the umask makes another program")
		}
	})
	files["fn/main.go"] = says("y")
	if bytes.Equal(build(t), want) {
		t.Error("another source makes the same program")
	}
}

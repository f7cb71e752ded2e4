package gobuild_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// Settings may come from a stranger's template: nothing in them runs a program or writes a file.
func TestSettings(t *testing.T) {
	for name, test := range map[string]struct {
		settings gobuild.Settings
		want     string // in the error; none if empty
	}{
		"nothing":              {gobuild.Settings{}, ""},
		"a tag":                {gobuild.Settings{Tags: []string{"netgo", "lambda.norpc", "größe"}}, ""},
		"linker flags":         {gobuild.Settings{LDFlags: []string{"-s", "-X main.v=1 2", "-X=main.v=1", "-buildid=", "-checklinkname=0"}}, ""},
		"flags":                {gobuild.Settings{Flags: []string{"-mod=vendor", "-modfile=go.ci.mod", "-pgo=off", "-gcflags=all=-N -l", "-gcflags=example.com/a=-l=4 -N", "-buildmode=pie"}}, ""},
		"a flag as a tag":      {gobuild.Settings{Tags: []string{"a -toolexec=/bin/evil"}}, `Tags must be letters, digits, underscores and dots, got "a -toolexec=/bin/evil"`},
		"two tags in one":      {gobuild.Settings{Tags: []string{"a,b"}}, `got "a,b"`},
		"a linker":             {gobuild.Settings{LDFlags: []string{"-extld=/bin/evil"}}, `got "-extld=/bin/evil"`},
		"a linker behind -X":   {gobuild.Settings{LDFlags: []string{"-X main.a=b' -extld=evil \"c"}}, "with one kind of quotes at most"},
		"a linker behind -s":   {gobuild.Settings{LDFlags: []string{"-s -extld=evil"}}, `got "-s -extld=evil"`},
		"a linker by -buildid": {gobuild.Settings{LDFlags: []string{"-buildid= -extld=evil"}}, "got"},
		"an output":            {gobuild.Settings{LDFlags: []string{"-o=/etc/passwd"}}, `got "-o=/etc/passwd"`},
		"a tool":               {gobuild.Settings{Flags: []string{"-toolexec=/bin/evil"}}, `got "-toolexec=/bin/evil": others can be set by GOFLAGS`},
		"two dashes":           {gobuild.Settings{Flags: []string{"--toolexec=/bin/evil"}}, `got "--toolexec=/bin/evil"`},
		"another folder":       {gobuild.Settings{Flags: []string{"-C=/tmp"}}, `got "-C=/tmp"`},
		"an overlay":           {gobuild.Settings{Flags: []string{"-overlay=x.json"}}, `got "-overlay=x.json"`},
		"a package":            {gobuild.Settings{Flags: []string{"./other"}}, `got "./other"`},
		"a compiler's output":  {gobuild.Settings{Flags: []string{"-gcflags=-cpuprofile=/etc/passwd"}}, `got "-gcflags=-cpuprofile=/etc/passwd"`},
		"one behind a blank":   {gobuild.Settings{Flags: []string{"-gcflags= -cpuprofile=-N"}}, `got "-gcflags= -cpuprofile=-N"`},
		"one behind a pattern": {gobuild.Settings{Flags: []string{"-gcflags=all=-N -o=x"}}, "got"},
		"experiments":          {gobuild.Settings{Experiment: "jsonv2,greenteagc", FIPS140: "v1.0.0"}, ""},
		"another variable":     {gobuild.Settings{Experiment: "x\nCC=/bin/evil"}, "Experiment must be"},
		"a folder for FIPS":    {gobuild.Settings{FIPS140: "../evil"}, `FIPS140 must be off, latest, inprocess, certified or a version like v1.0.0, got "../evil"`},
		"all at once":          {gobuild.Settings{Tags: []string{"a b"}, LDFlags: []string{"-T"}, Flags: []string{"-a"}}, "Flags must be -mod="},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.settings.Validate()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
			if name == "all at once" && len(strings.Split(err.Error(), "\n")) != 3 {
				t.Errorf("error is %v, want three lines", err)
			}
		})
	}
}

// A go command may print a notice before what it was asked for, and so may a version manager in its place.
func TestNoticesAreNotTakenForGOFLAGS(t *testing.T) {
	b := gobuild.New(func(context.Context, string, []string, []string) ([]byte, error) {
		return []byte("warning: both GOPATH and GOROOT are the same directory\n-tags=netgo -ldflags=-w\n\n\n"), nil
	})
	got, err := b.Effective(t.Context(), gobuild.Target{})
	if err != nil || !slices.Contains(got.Tags, "netgo") || !slices.Contains(got.LDFlags, "-w") {
		t.Errorf("settings are %+v (%v), want those of GOFLAGS", got, err)
	}
}

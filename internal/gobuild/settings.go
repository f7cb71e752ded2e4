package gobuild

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Settings say how a program is built beyond what all programs have in common. They are written into templates
// and read from them. A template may be a stranger's: settings therefore hold nothing by which the go command
// runs another program or writes elsewhere, see Validate.
type Settings struct {
	// Tags are build tags.
	Tags []string `json:"tags"`
	// LDFlags are flags of the linker, each with its value: "-s", "-X main.version=1.2.3".
	LDFlags []string `json:"ldflags"`
	// Flags are further flags of go build: "-mod=vendor".
	Flags []string `json:"flags,omitempty"`
	// Experiment is a value of GOEXPERIMENT: "jsonv2". Empty leaves it to the environment.
	Experiment string `json:"experiment,omitempty"`
	// FIPS140 is a value of GOFIPS140: "latest". Empty leaves it to the environment.
	FIPS140 string `json:"fips140,omitempty"`
}

// What every program has. lambda.norpc leaves out the RPC server that only the retired go1.x runtime needed; the
// linker's flags leave out the symbol table and debug information.
// Source: Lambda developer guide, golang-package; docs/adr/0007 has the figures.
var (
	commonTags    = []string{"lambda.norpc"}
	commonLDFlags = []string{"-s", "-w"}
)

var (
	tagPattern = regexp.MustCompile(`^[\pL\pN_.]+$`)
	// linkerFlags change nothing but the program. Left out are those that name a program to run (-extld), a
	// file to write (-o, -cpuprofile) or need cgo.
	linkerFlags = regexp.MustCompile(`^(-s|-w|-X[ =][^\s=]+=.*|-buildid=\S*|-checklinkname=[01]|-compressdwarf=(true|false))$`)
	// buildFlags likewise. Left out are -toolexec and -overlay among others.
	buildFlags = regexp.MustCompile(`^(-mod=(mod|readonly|vendor)|-modfile=\S+|-pgo=\S+|-cover|-buildmode=(exe|pie)|-gcflags=.*)$`)
	// compilerFlags may stand in -gcflags.
	compilerFlags = regexp.MustCompile(`^-(N|B|l|l=\d|d=[a-z0-9,=]+)$`)
	experiments   = regexp.MustCompile(`^([a-z0-9]+(,[a-z0-9]+)*)?$`)
	// Source: go.dev/doc/security/fips140, GOFIPS140.
	fips140 = regexp.MustCompile(`^(|off|latest|inprocess|certified|v[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9]+)*)$`)
)

// Validate returns an error that joins all that is wrong with the settings, or nil.
func (s Settings) Validate() error {
	var problems []error
	for _, tag := range s.Tags {
		if !tagPattern.MatchString(tag) {
			problems = append(problems, fmt.Errorf("Tags must be letters, digits, underscores and dots, got %q", tag))
		}
	}
	for _, flag := range s.LDFlags {
		if !linkerFlags.MatchString(flag) || strings.Contains(flag, `"`) && strings.Contains(flag, "'") {
			problems = append(problems, fmt.Errorf(`LDFlags must be -X name=value (with one kind of quotes at most), -s, -w, -buildid, -checklinkname or -compressdwarf, got %q`, flag))
		}
	}
	for _, flag := range s.Flags {
		if !validFlag(flag) {
			problems = append(problems, fmt.Errorf("Flags must be -mod=…, -modfile=…, -pgo=…, -cover, -buildmode=exe or pie, or -gcflags=… with -N, -B, -l or -d, got %q: others can be set by GOFLAGS", flag))
		}
	}
	if !experiments.MatchString(s.Experiment) {
		problems = append(problems, fmt.Errorf("Experiment must be names of Go experiments with commas between them, got %q", s.Experiment))
	}
	if !fips140.MatchString(s.FIPS140) {
		problems = append(problems, fmt.Errorf("FIPS140 must be off, latest, inprocess, certified or a version like v1.0.0, got %q", s.FIPS140))
	}
	return errors.Join(problems...)
}

// validFlag reports whether the flag may stand in Flags.
func validFlag(flag string) bool {
	return buildFlags.MatchString(flag) && (!strings.HasPrefix(flag, "-gcflags=") || validCompilerFlags(flag))
}

// validCompilerFlags checks the value of -gcflags, which is [pattern=]flags.
func validCompilerFlags(flag string) bool {
	value := strings.TrimSpace(strings.TrimPrefix(flag, "-gcflags=")) // as the go command does, before it looks for a pattern
	if !strings.HasPrefix(value, "-") {
		_, value, _ = strings.Cut(value, "=")
	}
	return !slices.ContainsFunc(strings.Fields(value), func(one string) bool { return !compilerFlags.MatchString(one) })
}

// with returns the settings of a program: what every program has, what the environment says, and these settings. Of
// what can have one value only, that of these settings holds: it comes last.
func (s Settings) with(environment Settings) Settings {
	return Settings{
		Tags:       distinct(commonTags, environment.Tags, s.Tags),
		LDFlags:    distinct(commonLDFlags, environment.LDFlags, s.LDFlags),
		Flags:      distinct(environment.Flags, s.Flags),
		Experiment: cmp.Or(s.Experiment, environment.Experiment),
		FIPS140:    cmp.Or(s.FIPS140, environment.FIPS140),
	}
}

// env returns the variables of the go command that the settings set.
func (s Settings) env() []string {
	var variables []string
	if s.Experiment != "" {
		variables = append(variables, "GOEXPERIMENT="+s.Experiment)
	}
	if s.FIPS140 != "" {
		variables = append(variables, "GOFIPS140="+s.FIPS140)
	}
	return variables
}

// distinct joins the lists without what was there before.
func distinct(lists ...[]string) []string {
	var all []string
	for _, one := range slices.Concat(lists...) {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// args are the settings as arguments of go build.
func (s Settings) args() []string {
	var ldflags []string
	for _, flag := range s.LDFlags {
		if value, isX := cutX(flag); isX {
			ldflags = append(ldflags, "-X", quote(value))
		} else {
			ldflags = append(ldflags, flag)
		}
	}
	args := []string{"-trimpath", "-buildvcs=false", "-tags=" + strings.Join(s.Tags, ","), "-ldflags=" + strings.Join(ldflags, " ")}
	return append(args, s.Flags...)
}

// cutX returns name=value of "-X name=value".
func cutX(flag string) (value string, isX bool) {
	if !strings.HasPrefix(flag, "-X") {
		return "", false
	}
	return flag[len("-X "):], true
}

// quote quotes one element of a list of flags, where the go command knows quotes but no escapes.
// Source: go help build, -ldflags.
func quote(text string) string {
	switch {
	case strings.Contains(text, `"`):
		return "'" + text + "'"
	case strings.ContainsAny(text, " \t\r\n'"):
		return `"` + text + `"`
	}
	return text
}

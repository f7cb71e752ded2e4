package main

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// asCommand makes the test binary play the command.
const asCommand = "OUTBOX_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// result is what a command line came to.
type result struct {
	code     int
	out, err string
}

// inProcess runs a command line here.
func inProcess(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), args, streams{strings.NewReader(stdin), &out, &err})
	return result{code, out.String(), err.String()}
}

// asBinary runs it as a process, as a shell does.
func asBinary(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// TestMisuse: what the command does not have is 2, and one message names it and what there is.
func TestMisuse(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says []string
	}{
		"an unknown command":             {[]string{"replya"}, []string{`"replya"`, "pause, repair, replay"}},
		"an unknown subcommand":          {[]string{"dead-letters", "move"}, []string{`"move"`, "discard, list, redrive, show"}},
		"a command without its own":      {[]string{"dead-letters"}, []string{"discard, list, redrive, show"}},
		"an unknown help topic":          {[]string{"help", "replya"}, []string{`"replya"`, "pause, repair, replay"}},
		"an unknown help subtopic":       {[]string{"help", "dead-letters", "move"}, []string{`"move"`, "discard, list, redrive, show"}},
		"an unknown shell":               {[]string{"completion", "dash"}, []string{`"dash"`, "bash, fish"}},
		"an unknown flag":                {[]string{"local", "--prot", "1"}, []string{"--prot", "outbox local --help"}},
		"an unknown flag of the command": {[]string{"--prot"}, []string{"--prot", "outbox --help"}},
		"a flag without its value":       {[]string{"inbox", "copy", "--table"}, []string{"--table"}},
		"a flag that is empty":           {[]string{"replay", "--local", "--consumer", ""}, []string{"--consumer is required"}},
		"all flags missing":              {[]string{"replay"}, []string{"--stack is required, or --local", "--consumer is required"}},
		"some flags missing":             {[]string{"inbox", "copy", "--table", "t"}, []string{"--from is required", "--to is required"}},
		"a value of another type":        {[]string{"local", "--port", "abc"}, []string{"--port must be a whole number", `"abc"`}},
		"a switch of another type":       {[]string{"local", "--keep=maybe"}, []string{"--keep must be true or false", `"maybe"`}},
		"a duration without a unit":      {[]string{"dead-letters", "list", "--older", "37"}, []string{"--older must be 0 or a duration such as 58d", `"37"`}},
		"a negative duration":            {[]string{"dead-letters", "list", "--newer", "-1h"}, []string{"--newer must be", `"-1h"`}},
		"ages with nothing between":      {[]string{"dead-letters", "list", "--local", "--older", "2d", "--newer", "1d"}, []string{"--older 48h0m0s and --newer 24h0m0s"}},
		"a kind that there is not":       {[]string{"dead-letters", "list", "--local", "--kind", "queue"}, []string{"--kind must be consumer, rule, pipe or auditor", `"queue"`}},
		"a limit of nothing":             {[]string{"dead-letters", "list", "--local", "--limit", "0"}, []string{"--limit must be a whole number above 0, got 0"}},
		"show without an id":             {[]string{"dead-letters", "show", "--local"}, []string{"takes one id", "got 0"}},
		"yes to a dry run":               {[]string{"dead-letters", "redrive", "--local", "--yes", "--dry-run"}, []string{"--yes and --dry-run"}},
		"a copy and no copy":             {[]string{"dead-letters", "discard", "--local", "--save", "f", "--no-save"}, []string{"--save and --no-save"}},
		"a time that is none":            {[]string{"replay", "--local", "--consumer", "c", "--since", "yesterday"}, []string{"--since must be a time such as", `"yesterday"`}},
		"a time span backwards":          {[]string{"replay", "--local", "--consumer", "c", "--since", "1h", "--until", "2h"}, []string{"--since must be before --until"}},
		"a replay from nowhere":          {[]string{"replay", "--local", "--consumer", "c", "--from", "s3"}, []string{"--from must be table or archive", `"s3"`}},
		"an archive and its limits":      {[]string{"replay", "--local", "--consumer", "c", "--from", "archive", "--type", "t"}, []string{"needs --since", "not with --type"}},
		"a pause of nothing":             {[]string{"pause", "--local"}, []string{"one of --consumer and --pipe"}},
		"a pause of both":                {[]string{"pause", "--local", "--consumer", "c", "--pipe"}, []string{"one of --consumer and --pipe"}},
		"a resume of nothing":            {[]string{"resume", "--local"}, []string{"one of --consumer and --pipe"}},
		"no stack and not local":         {[]string{"status"}, []string{"--stack is required, or --local"}},
		"a port without a local run":     {[]string{"status", "--stack", "s", "--port", "4600"}, []string{"--port is the local run's"}},
		"a port that is none":            {[]string{"status", "--local", "--port", "65536"}, []string{"--port must be a whole number from 1 to 65531, got 65536"}},
		"a trace of nothing":             {[]string{"trace", "--local"}, []string{"takes one id", "got 0"}},
		"a trace of two":                 {[]string{"trace", "--local", "a", "b"}, []string{"takes one id", "got 2"}},
		"a trace that reads nothing":     {[]string{"trace", "--local", "--read", "0", "a"}, []string{"--read must be a whole number of 1 or more, got 0"}},
		"an audit of no time":            {[]string{"audit", "--local", "--since", "1h", "--until", "2h"}, []string{"--since must be before --until, got 1h and 2h"}},
		"an audit that lists less":       {[]string{"audit", "--local", "--limit", "-1"}, []string{"--limit must be a whole number of 0 or more, got -1"}},
		"a repair without a rate":        {[]string{"repair", "--local", "--rate", "0", "--limit", "0"}, []string{"--rate must be a whole number from 1 to 1000, got 0", "--limit must be"}},
		"a repair that is dry and not":   {[]string{"repair", "--local", "--yes", "--dry-run"}, []string{"--yes and --dry-run"}},
		"a check that is none":           {[]string{"smoke", "--local", "--only", "3,17"}, []string{"--only must name checks from 1 to 16, got 17"}},
		"a check in words":               {[]string{"smoke", "--local", "--only", "three"}, []string{"--only must be whole numbers with commas between", `"three"`}},
		"checks without a stack":         {[]string{"smoke", "--only", "3"}, []string{"--stack is required, or --local"}},
		"checks after a destroy":         {[]string{"smoke", "--local", "--after-destroy", "--skip", "1"}, []string{"--after-destroy is a check of its own"}},
		"checks that do not wait":        {[]string{"smoke", "--local", "--wait", "0s"}, []string{"--wait must be 1s or longer, got 0s"}},
		"checks that wait for no time":   {[]string{"smoke", "--local", "--wait", "long"}, []string{"--wait must be", `"long"`}},
		"checks that are dry and not":    {[]string{"smoke", "--local", "--yes", "--dry-run"}, []string{"--yes and --dry-run"}},
		"a value out of range":           {[]string{"local", "--port", "70000"}, []string{"0 to 65530", "70000"}},
		"a value that is not one of two": {[]string{"local", "--iam", "maybe"}, []string{"--iam must be on or off", `"maybe"`}},
		"switches that exclude another":  {[]string{"local", "--auth", "--iam", "off"}, []string{"--auth needs --iam=on"}},
		"a word too many":                {[]string{"local", "Orders-dev"}, []string{`"Orders-dev"`, "flags only"}},
		"a word too many for a shell":    {[]string{"completion", "bash", "now"}, []string{`"now"`}},
		"a name with a separator":        {[]string{"inbox", "copy", "--table", "t", "--from", "a#b", "--to", "c"}, []string{"--from must be", `"a#b"`}},
		"a name for itself":              {[]string{"inbox", "copy", "--table", "t", "--from", "a", "--to", "a"}, []string{"must differ", `"a"`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := inProcess(t, "", tc.args...)
			if got.code != exitMisuse || got.out != "" {
				t.Errorf("exit code %d and output %q, want %d and none; it said %q", got.code, got.out, exitMisuse, got.err)
			}
			for _, want := range tc.says {
				if !strings.Contains(got.err, want) {
					t.Errorf("it said %q, which does not name %q", got.err, want)
				}
			}
			if n := strings.Count(got.err, "--help"); strings.Contains(got.err, "Usage:") || n > 3 {
				t.Errorf("it said %q, want what is wrong and no page", got.err)
			}
		})
	}
}

// TestErrorsDoNotCommandTheTerminal: an event's id, or a word of the command line, may be anything.
func TestErrorsDoNotCommandTheTerminal(t *testing.T) {
	got := inProcess(t, "", "local", "--\x1b]0;x\x07")
	if strings.ContainsAny(got.err, "\x1b\x07") || !strings.Contains(got.err, `--\x1b]0;x\x07`) {
		t.Errorf("it said %q, want the escape shown", got.err)
	}
}

// TestExitCodes: as a process, the same codes.
func TestExitCodes(t *testing.T) {
	nowhere := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		code int
		err  string
	}{
		"done":                   {[]string{"--version"}, exitDone, ""},
		"help":                   {[]string{"dead-letters", "redrive", "--help"}, exitDone, ""},
		"a list without a stack": {[]string{"smoke", "--list"}, exitDone, ""},
		"a list as JSON":         {[]string{"smoke", "--list", "--json"}, exitDone, ""},
		"it did not work":        {[]string{"local", "--app", nowhere}, exitFailed, "cdk synth"},
		"no local run":           {[]string{"status", "--local", "--port", "1"}, exitFailed, "no local run answers on port 1"},
		"an unknown command":     {[]string{"replya"}, exitMisuse, "replya"},
		"an unknown flag":        {[]string{"local", "--prot"}, exitMisuse, "--prot"},
		"a missing flag":         {[]string{"dead-letters", "redrive"}, exitMisuse, "--stack"},
		"a value that is wrong":  {[]string{"local", "--port", "abc"}, exitMisuse, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			got := asBinary(t, tc.args...)
			if got.code != tc.code || !strings.Contains(got.err, tc.err) {
				t.Errorf("exit code %d and %q on stderr, want %d and %q", got.code, got.err, tc.code, tc.err)
			}
			if (got.code == exitDone) != (got.out != "") {
				t.Errorf("it printed %q on stdout", got.out)
			}
		})
	}
}

// TestEveryCommandHasHelp: what it does, an example that names it, and all flags described.
func TestEveryCommandHasHelp(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if path := strings.Fields(cmd.CommandPath()); cmd.IsAvailableCommand() || cmd.Name() == "help" {
			t.Run(cmd.CommandPath(), func(t *testing.T) {
				for _, args := range [][]string{append(path[1:len(path):len(path)], "--help"), append([]string{"help"}, path[1:]...)} {
					got := inProcess(t, "", args...)
					if got.code != exitDone || got.err != "" {
						t.Fatalf("outbox %v: exit code %d, %s", args, got.code, got.err)
					}
					what, _, _ := strings.Cut(cmp.Or(cmd.Long, cmd.Short), "\n")
					for _, want := range []string{what, "Usage:", "Examples:\n  "} {
						if !strings.Contains(got.out, want) {
							t.Errorf("the help does not have %q:\n%s", want, got.out)
						}
					}
				}
				if !strings.Contains(cmd.Example, cmd.CommandPath()) {
					t.Errorf("the example does not show %s:\n%s", cmd.CommandPath(), cmd.Example)
				}
			})
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(streams{}))
}

// TestTheExamplesParse: every example is a command line that gets as far as its command.
func TestTheExamplesParse(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "outbox" {
				continue // another program's
			}
			root := newRoot(streams{})
			found, rest, err := root.Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil && found.PreRunE != nil {
				err = found.PreRunE(found, nil)
			}
			if err != nil {
				t.Errorf("the example %q: %v", line, err)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(streams{}))
}

func TestShellCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := inProcess(t, "", "completion", shell); got.code != exitDone || !strings.Contains(got.out, "outbox") {
			t.Errorf("%s: exit code %d, %s", shell, got.code, got.err)
		}
	}
	// What the scripts ask for.
	for words, want := range map[string]string{"dead-letters ": "redrive", "dead-letters redrive --f": "--forgotten", "inbox ": "copy"} {
		got := inProcess(t, "", append([]string{"__complete"}, strings.Split(words, " ")...)...)
		if !strings.Contains(got.out, want) {
			t.Errorf("outbox %s is not completed with %s but with %q", words, want, got.out)
		}
	}
}

func TestVersion(t *testing.T) {
	info := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "4c5fe418"}
	for want, got := range map[string]string{
		"v0.1.0":                        version(info("v0.1.0"), true),
		"v0.1.0 4c5fe418":               version(info("v0.1.0", commit), true),
		"(devel)":                       version(info(""), true),
		"(devel) 4c5fe418 with changes": version(info("(devel)", commit, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), true),
		"unknown":                       version(nil, false),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := inProcess(t, "", "--version"); !strings.HasPrefix(got.out, "outbox version ") {
		t.Errorf("--version prints %q", got.out)
	}
}

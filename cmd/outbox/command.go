package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // it did not work
	exitMisuse = 2 // it was asked for something that it does not have
)

// run executes a command line, without the program's name, and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(terminal.Writer(std.err), "outbox:", err)
	if misuse := (misuseError{}); errors.As(err, &misuse) {
		return exitMisuse
	}
	return exitFailed
}

// A misuseError is what is wrong with a command line.
type misuseError struct{ error }

func (e misuseError) Unwrap() error { return e.error }

// misuse marks an error as one of the command line. misuse(nil) is nil.
func misuse(err error) error {
	if err == nil {
		return nil
	}
	return misuseError{err}
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "outbox",
		Short: "Run an outbox stack on this machine, and operate a deployed one",
		Example: `  outbox local --stack Orders-dev
  outbox status --stack Orders-dev
  outbox dead-letters list --stack Orders-dev`,
		Version:       version(debug.ReadBuildInfo()),
		SilenceErrors: true, // run prints them, in one place
		SilenceUsage:  true, // the page is for those who ask
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse(fmt.Errorf("%w; %s --help lists the flags", flagError(err), cmd.CommandPath()))
	})
	root.AddCommand(newLocal(), newStatus(), newTrace(), newPage(), newAudit(), newRepair(), newDeadLetters(), newReplay(), newPause(), newResume(), newSmoke(), newInbox())
	group(root)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	completeShells(root)
	root.SetHelpCommand(newHelp(root))
	return root
}

// allowed is what a flag's value must be, by the flag's type.
var allowed = map[string]string{
	"int":      "a whole number",
	"intSlice": "whole numbers with commas between",
	"bool":     "true or false",
	"duration": "0 or a duration such as 58d, 1392h or 5011200s",
	"time":     "a time such as 2026-11-01T00:00:00Z, or a duration such as 2h or 3d, for so long ago",
}

// flagError returns what a flag allows, where the library's error shows how it failed to parse the value.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	flag := invalid.GetFlag()
	return fmt.Errorf("--%s must be %s, got %q", flag.Name, allowed[flag.Value.Type()], invalid.GetValue())
}

// group makes a command one that only holds others, and takes nothing itself.
func group(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return misuse(fmt.Errorf("%s needs one of its commands: %s; %s --help says what they do", cmd.CommandPath(), commandsOf(cmd), cmd.CommandPath()))
	}
}

func unknownCommand(parent *cobra.Command, name string) error {
	return misuse(fmt.Errorf("a command of %s must be one of %s, got %q", parent.CommandPath(), commandsOf(parent), name))
}

func commandsOf(parent *cobra.Command) string {
	var names []string
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return strings.Join(names, ", ")
}

// completeShells adds cobra's completion scripts, with our exit codes and with examples.
func completeShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		group(cmd)
		cmd.Example = "  source <(outbox completion bash)"
		for _, shell := range cmd.Commands() {
			shell.Args = noArgs
			shell.Example = "  outbox completion " + shell.Name()
		}
	}
}

// newHelp returns `outbox help`, which in cobra's own form takes an unknown topic for a success.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Show what a command does and takes",
		Example: "  outbox help dead-letters redrive",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd := root
			for _, name := range args {
				next, _, err := cmd.Find([]string{name})
				if err != nil || next == cmd {
					return unknownCommand(cmd, name)
				}
				cmd = next
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// noArgs refuses arguments that are no flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(fmt.Errorf("%s takes flags only, got %q; %s --help lists them", cmd.CommandPath(), args[0], cmd.CommandPath()))
	}
	return nil
}

// required adds a text flag that must be given and not be empty.
func required(cmd *cobra.Command, value *string, name, usage string) {
	cmd.Flags().StringVar(value, name, "", usage+" (required)")
	check(cmd, func() error {
		if *value == "" {
			return fmt.Errorf("--%s is required; %s --help says what it takes", name, cmd.CommandPath())
		}
		return nil
	})
}

// check adds a check of the flags' values. All checks are made before the command runs, and tell their problems at once.
func check(cmd *cobra.Command, problem func() error) {
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		var problems []error
		if before != nil {
			problems = append(problems, before(cmd, args))
		}
		return misuse(errors.Join(append(problems, problem())...))
	}
}

// version returns the version of the module that the binary was built from, and the commit where the go command noted it.
func version(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	text := info.Main.Version
	if text == "" {
		text = "(devel)"
	}
	if commit := settings["vcs.revision"]; commit != "" {
		text += " " + commit
		if settings["vcs.modified"] == "true" {
			text += " with changes"
		}
	}
	return text
}

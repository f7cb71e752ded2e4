// Command outbox runs a synthesized outbox stack on this machine, and operates a deployed one.
//
//	outbox local     run a synthesized stack here
//	outbox redrive   move dead-letter messages back to where they were lost
//
// `outbox help` lists everything. It exits with 0 when it did what was asked, 1 when it could not, and 2 when it
// was asked for something that it does not have.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitFailed = 1
	exitMisuse = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first signal the next one gets its default meaning: an impatient second Ctrl-C ends us at once.
	context.AfterFunc(ctx, stop)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "outbox:", err)
	var misuse misuseError
	if errors.As(err, &misuse) {
		os.Exit(exitMisuse)
	}
	os.Exit(exitFailed)
}

// A misuseError is a command line that asks for something that does not exist.
type misuseError struct{ error }

// misuse marks an error as one of the command line.
func misuse(err error) error {
	if err == nil {
		return nil
	}
	return misuseError{err}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "outbox",
		Short:         "Run an outbox stack on this machine, and operate a deployed one",
		Version:       version(),
		SilenceErrors: true, // main prints them, in one line
		SilenceUsage:  true, // the page is for those who ask
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misuse(fmt.Errorf("unknown command %q; %s --help lists the commands", args[0], cmd.CommandPath()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse(fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath()))
	})
	root.AddCommand(newLocal(), newRedrive())
	return root
}

// noArgs refuses arguments that are no flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(fmt.Errorf("unexpected argument %q: %s takes flags only, see %s --help", args[0], cmd.Name(), cmd.CommandPath()))
	}
	return nil
}

// version is the module's version and the commit that the binary was built from, as the go command noted them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

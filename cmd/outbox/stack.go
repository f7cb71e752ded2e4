package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// stackFlags are the flags of every command that works on a running stack.
type stackFlags struct {
	stack  string
	outbox string
	local  bool
	port   int
	json   bool

	// needless reports whether the command needs no stack this time; nil: it always does.
	needless func() bool
}

// add adds the flags to a command, and the checks of their values.
func (f *stackFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.stack, "stack", "", "`name` of the stack (required on AWS)")
	flags.StringVar(&f.outbox, "outbox", "", "`path` of the outbox, for a stack with several")
	flags.BoolVar(&f.local, "local", false, "work on the local run, not on AWS")
	flags.IntVar(&f.port, "port", operate.DefaultPort, "`port` of the local run's REST API, with --local")
	flags.BoolVar(&f.json, "json", false, "print JSON, for programs")
	check(cmd, func() error {
		var problems []error
		if f.stack == "" && !f.local && (f.needless == nil || !f.needless()) {
			problems = append(problems, fmt.Errorf("--stack is required, or --local; %s --help says what they take", cmd.CommandPath()))
		}
		if flags.Changed("port") && !f.local {
			problems = append(problems, errors.New("--port is the local run's: it needs --local"))
		}
		if f.port < 1 || f.port > operate.MaximumPort {
			problems = append(problems, fmt.Errorf("--port must be a whole number from 1 to %d, got %d", operate.MaximumPort, f.port))
		}
		return errors.Join(problems...)
	})
}

// connect returns the clients of AWS or of the local run.
func (f *stackFlags) connect(ctx context.Context) (operate.Clients, error) {
	if f.local {
		return operate.Locally(ctx, f.port)
	}
	return operate.OnAWS(ctx)
}

// discover finds the stack. With --outbox it is the stack as if it had no other.
func (f *stackFlags) discover(ctx context.Context) (operate.Clients, *operate.Stack, error) {
	clients, err := f.connect(ctx)
	if err != nil {
		return operate.Clients{}, nil, err
	}
	stack, err := f.find(ctx, clients)
	return clients, stack, err
}

// find finds the part of the stack that is meant.
func (f *stackFlags) find(ctx context.Context, clients operate.Clients) (*operate.Stack, error) {
	stack, err := operate.Discover(ctx, clients, f.stack)
	if err != nil {
		return nil, err
	}
	if warning := stack.Warning(); warning != "" {
		fmt.Fprintln(os.Stderr, terminal.Visible(warning))
	}
	if f.outbox == "" {
		return stack, nil
	}
	return stack.Only(f.outbox)
}

// discoverOutbox finds the one outbox of the stack that is meant.
func (f *stackFlags) discoverOutbox(ctx context.Context) (operate.Clients, *operate.Outbox, error) {
	clients, stack, err := f.discover(ctx)
	if err != nil {
		return operate.Clients{}, nil, err
	}
	box, err := stack.Outbox(f.outbox)
	return clients, box, err
}

// command returns the words of a command line on the same stack, for advice: "outbox resume --stack Orders-dev".
func (f *stackFlags) command() operate.CommandLine {
	return operate.CommandLine{Stack: f.stack, Outbox: f.outbox, Local: f.local, Port: f.port}
}

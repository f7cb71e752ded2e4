package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

func newStatus() *cobra.Command {
	var f stackFlags
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show on one screen how a stack stands, and what needs a person",
		Long: `Show on one screen how a stack stands, in the order in which an event meets its parts: the pipe, the heartbeat, what the
audit has not confirmed, each consumer, and the alarms that are on. At its end it says what needs a person, with the
command to type.

It exits with 1 when something needs a person, which a figure that it could not read does too: "?", with the reason at the
end. Everything else is shown all the same. It changes nothing and receives no message.

What each alarm means, and what to do then: https://github.com/outboxkit/transactional-outbox/blob/main/docs/operations.md

--json prints one object, with --watch one a line: stack, where, at, outboxes (path, pipe, heartbeat, audit, pipeDeadLetters,
ruleDeadLetters, consumers), imported, alarms, needs (what, do). A reading has value, or error where there is none.`,
		Example: `  outbox status --stack Orders-dev
  outbox status --stack Orders-dev --watch
  outbox status --local --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, stack, err := f.discover(cmd.Context())
			if err != nil {
				return err
			}
			surveyor := operate.NewSurveyor(clients, stack, f.command())
			var status *operate.Status
			if watch {
				status, err = surveyor.Watch(cmd.Context(), watcher(cmd.OutOrStdout(), f.json))
			} else if status, err = surveyor.Survey(cmd.Context()); err == nil {
				err = showStatus(cmd.OutOrStdout(), status, f.json)
			}
			if err != nil {
				return err
			}
			return needsPerson(status)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "look again every 2 seconds, until Ctrl-C")
	return cmd
}

// showStatus prints a status once.
func showStatus(out io.Writer, s *operate.Status, asJSON bool) error {
	if asJSON {
		return operate.PrintJSON(out, s)
	}
	width, _ := terminal.Width(out)
	s.Write(out, width)
	return nil
}

// watcher returns what shows one status after the other: in place on a terminal, else one line each.
func watcher(out io.Writer, asJSON bool) func(*operate.Status) error {
	return func(s *operate.Status) error {
		if asJSON {
			return operate.PrintJSONLine(out, s)
		}
		width, isTerminal := terminal.Width(out)
		if !isTerminal {
			fmt.Fprintln(out, s.Line())
			return nil
		}
		var text bytes.Buffer
		s.Write(&text, width)
		terminal.Redraw(out, text.String())
		return nil
	}
}

// needsPerson returns the error with which status ends when something needs a person.
func needsPerson(s *operate.Status) error {
	if s == nil || len(s.Needs) == 0 {
		return nil
	}
	if len(s.Needs) == 1 {
		return errors.New("1 thing needs a person")
	}
	return fmt.Errorf("%d things need a person", len(s.Needs))
}

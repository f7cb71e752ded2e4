package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// switchStack is operate.Switch's Pause or Resume.
type switchStack func(operate.Switch, context.Context, operate.Clients, *operate.Stack, func() (*operate.Outbox, error), *operate.Dialog, operate.CommandLine) (*operate.SwitchResult, error)

func newPause() *cobra.Command {
	return newSwitch(operate.Switch.Pause, &cobra.Command{
		Use:   "pause",
		Short: "Pause a consumer, or the pipe",
		Long: `Pause a consumer, or the pipe. Events are committed as before, and wait: those of a paused consumer in its queue, for as long
as the queue keeps a message; those of a paused pipe in the table's stream, for 24 hours or the pipe's MaximumRecordAge.

It says until when nothing is lost, asks, and waits until AWS has done it.`,
		Example: `  outbox pause --stack Orders-dev --consumer Ship
  outbox pause --stack Orders-dev --pipe`,
	})
}

func newResume() *cobra.Command {
	return newSwitch(operate.Switch.Resume, &cobra.Command{
		Use:   "resume",
		Short: "Let a paused consumer, or the pipe, go on",
		Long: `Let a paused consumer, or the pipe, go on. It says first what was lost to it because it was paused for longer than events are
kept for it, and which command brings that back, asks, and waits until AWS has done it.`,
		Example: `  outbox resume --stack Orders-dev --consumer Ship
  outbox resume --stack Orders-dev --pipe`,
	})
}

func newSwitch(run switchStack, cmd *cobra.Command) *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var w operate.Switch
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		clients, stack, err := on.discover(cmd.Context())
		if err != nil {
			return err
		}
		w.DryRun = changes.dryRun
		box := func() (*operate.Outbox, error) { return stack.Outbox(on.outbox) }
		done, err := run(w, cmd.Context(), clients, stack, box, changes.dialog(cmd, on.json), on.command())
		return withJSON(cmd, on.json, done, err)
	}
	on.add(cmd)
	changes.add(cmd)
	cmd.Flags().StringVar(&w.Consumer, "consumer", "", "the consumer with the `id` or name")
	cmd.Flags().BoolVar(&w.Pipe, "pipe", false, "the outbox's pipe, for all consumers")
	check(cmd, func() error { return w.Validate() }) //nolint:gocritic // w.Validate would copy w before the flags are parsed
	return cmd
}

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

func newDeadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "List, show, redrive and discard the dead-letter messages of a stack",
		Long: `List, show, redrive and discard the dead-letter messages of a stack: those that its consumers could not handle, those
that its rules could not deliver, and the places in the stream that its pipe, or its auditor, gave up.`,
		Example: `  outbox dead-letters list --stack Orders-dev
  outbox dead-letters redrive --stack Orders-dev --consumer Ship`,
	}
	group(cmd)
	cmd.AddCommand(newDeadLettersList(), newDeadLettersShow(), newDeadLettersRedrive(), newDeadLettersDiscard())
	return cmd
}

// addFilter adds the flags that say which messages are meant.
func addFilter(cmd *cobra.Command, f *operate.DeadLetterFilter) {
	var older, newer duration
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.Kind), "kind", "", "only those in queues of the `kind`: consumer, rule, pipe or auditor")
	flags.StringVar(&f.Consumer, "consumer", "", "only those of the consumer with the `id` or name")
	flags.StringVar(&f.Type, "type", "", "only events of the `type`")
	flags.StringVar(&f.Aggregate, "aggregate", "", "only events of the `aggregate`: Order#o-1, or o-1 for any type")
	flags.StringVar(&f.Reason, "reason", "", "only those whose reason has the `text`, in any case")
	flags.StringVar(&f.ID, "id", "", "only the message or the event with the `id`")
	flags.Var(&older, "older", "only those that were sent at least so long ago, for example 30m or 2d")
	flags.Var(&newer, "newer", "only those that were sent at most so long ago")
	check(cmd, func() error {
		f.Older, f.Newer = older.Duration, newer.Duration
		return f.Validate()
	})
}

// defaultLimit is how many messages of each queue are looked at. A receive of ten takes some milliseconds.
const defaultLimit = 1000

func addLimit(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", defaultLimit, "look at so `many` messages of each queue at most")
	check(cmd, func() error {
		if *limit < 1 {
			return fmt.Errorf("--limit must be a whole number above 0, got %d", *limit)
		}
		return nil
	})
}

func newDeadLettersList() *cobra.Command {
	var on stackFlags
	var filter operate.DeadLetterFilter
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead-letter messages of a stack",
		Long: `List the dead-letter messages of a stack, the oldest first, from all its dead-letter queues.

To see a message is to receive it: each is hidden for a moment and then given back, so two people who list at the same time
may each see a part. The age is since the message was first sent, which for a consumer's is when its rule delivered the event.`,
		Example: `  outbox dead-letters list --stack Orders-dev
  outbox dead-letters list --stack Orders-dev --consumer Ship --reason timeout --older 2d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, stack, err := on.discover(cmd.Context())
			if err != nil {
				return err
			}
			list, err := operate.ListDeadLetters(cmd.Context(), clients, stack, filter, limit)
			if err != nil {
				return err
			}
			if on.json {
				return operate.PrintJSON(cmd.OutOrStdout(), list)
			}
			list.Print(cmd.OutOrStdout())
			list.Advise(cmd.OutOrStdout(), on.command(), filter)
			return nil
		},
	}
	on.add(cmd)
	addFilter(cmd, &filter)
	addLimit(cmd, &limit)
	return cmd
}

func newDeadLettersShow() *cobra.Command {
	var on stackFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show everything of a dead-letter message",
		Long: `Show everything of the dead-letter messages with an id, which may be that of a message or of an event: where it is, why,
its attributes and its body. Of a pipe's or an auditor's message the events are shown that it stands for, while they can be read.`,
		Example: "  outbox dead-letters show 0197f0a2-7c1e-7cc3-98c8-1d0c5a4e8f21 --stack Orders-dev",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misuse(fmt.Errorf("%s takes one id, of a message or an event, got %d; %s --help lists the flags", cmd.CommandPath(), len(args), cmd.CommandPath()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			clients, stack, err := on.discover(cmd.Context())
			if err != nil {
				return err
			}
			shown, err := operate.ShowDeadLetters(cmd.Context(), clients, stack, args[0], limit)
			if err != nil {
				return err
			}
			if on.json {
				return operate.PrintJSON(cmd.OutOrStdout(), shown)
			}
			for n, one := range shown {
				if n > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				one.Print(cmd.OutOrStdout())
			}
			return nil
		},
	}
	on.add(cmd)
	addLimit(cmd, &limit)
	return cmd
}

func newDeadLettersRedrive() *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var r operate.DeadLetterRedrive
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Move dead-letter messages back to where they were not delivered",
		Long: `Move dead-letter messages back to where they were not delivered, once what kept them from it is fixed: a consumer's to its
queue, a rule's to the queue that they were for, and the events of a pipe's to the bus. Those of the auditor stand for records
that consumers have got and nobody has audited: run outbox audit --full, then discard them.

It shows what it will do and asks. It works until the queues give nothing any more, and exits with 1 while something that it
was to redrive is left, or may be: it prints why each message was kept, and how many are still in flight or were not seen. A
message is deleted only after it was accepted where it belongs, so it may be stopped with Ctrl-C and run again. Redriving twice
is safe for consumers with an inbox. An ordered consumer gets the events of each aggregate in the order of their versions.

A redrive gives a message a new age. One whose event the consumer may have forgotten by then is kept, because what it did
before it would do again: check that it had no effect, then redrive it with --forgotten. A message that came from a queue of
somebody else is kept, too.`,
		Example: `  outbox dead-letters redrive --stack Orders-dev --dry-run
  outbox dead-letters redrive --stack Orders-dev --consumer Ship --reason "no such address"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, stack, err := on.discover(cmd.Context())
			if err != nil {
				return err
			}
			r.DryRun = changes.dryRun
			results, err := r.Run(cmd.Context(), clients, stack, changes.dialog(cmd, on.json))
			return withJSON(cmd, on.json, results, err)
		},
	}
	on.add(cmd)
	addFilter(cmd, &r.Filter)
	changes.add(cmd)
	cmd.Flags().BoolVar(&r.Forgotten, "forgotten", false, "also messages whose event the consumer may not remember any more")
	return cmd
}

func newDeadLettersDiscard() *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var d operate.DeadLetterDiscard
	var noCopy bool
	cmd := &cobra.Command{
		Use:   "discard",
		Short: "Delete dead-letter messages for good",
		Long: `Delete dead-letter messages for good: their events have no effect any more. While an event is in the outbox table, outbox
replay and outbox repair can send it again.

It shows what it will do and asks. A copy of each message goes into a file before the message is deleted, one JSON document a
line, readable for you alone: it holds what the events hold.`,
		Example: `  outbox dead-letters discard --stack Orders-dev --id 0197f0a2-7c1e-7cc3-98c8-1d0c5a4e8f21
  outbox dead-letters discard --stack Orders-dev --consumer Ship --older 10d --save ship.jsonl`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, stack, err := on.discover(cmd.Context())
			if err != nil {
				return err
			}
			d.DryRun = changes.dryRun
			if d.Save == "" && !noCopy {
				d.Save = operate.DefaultSave(time.Now())
			}
			results, err := d.Run(cmd.Context(), clients, stack, changes.dialog(cmd, on.json))
			return withJSON(cmd, on.json, results, err)
		},
	}
	on.add(cmd)
	addFilter(cmd, &d.Filter)
	changes.add(cmd)
	cmd.Flags().StringVar(&d.Save, "save", "", "`file` for the copies (default discarded-TIME.jsonl in the current folder)")
	cmd.Flags().BoolVar(&noCopy, "no-save", false, "keep no copies")
	check(cmd, func() error {
		if noCopy && d.Save != "" {
			return errors.New("--save and --no-save must not be given together")
		}
		return nil
	})
	if err := cmd.MarkFlagFilename("save"); err != nil {
		panic(err) // a flag that the command does not have
	}
	return cmd
}

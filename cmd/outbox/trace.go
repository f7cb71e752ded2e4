package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

func newTrace() *cobra.Command {
	var f stackFlags
	var read int
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show what became of an event, or of all events of an aggregate",
		Long: `Show what became of an event, or of all events of an aggregate: when it was committed, and for each consumer whose pattern
matches it when it had its effect, in which dead-letter queue it waits and why, or how many messages wait in the
consumer's queue. It does not receive from consumers' own queues, because each receive counts for a message there.

ID is an event's id, an aggregate's id, such as that of an order, or Type#id, such as Order#o-1, which is the fastest.
Where no key leads to the event, it reads the outbox table, and says so before.

It exits with 1 where an effect waits in a dead-letter queue or is nowhere.

--json prints one object: id, outbox, events (id, type, aggregateType, aggregateId, version, committedAt, causationId,
caused, consumers), pipe. A consumer has consumer, state (effect, queued, on its way, dead-lettered, nowhere, unknown),
at, reason, waiting, inFlight, repairedAt.`,
		Example: `  outbox trace --stack Orders-dev Order#o-1
  outbox trace --stack Orders-dev 0198c5a8-6c1f-7d52-8f0e-3a1f5c9d2b77
  outbox trace --local --json o-1`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return misuse(fmt.Errorf("%s takes one id, of an event or an aggregate, got %d words; %s --help says more", cmd.CommandPath(), len(args), cmd.CommandPath()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			clients, box, err := f.discoverOutbox(cmd.Context())
			if err != nil {
				return err
			}
			dialog := operate.NewDialog(nil, cmd.ErrOrStderr(), false, isTerminal(cmd.ErrOrStderr()))
			trace, err := operate.Tracer{Clients: clients, Outbox: box, MaximumRead: read, Dialog: dialog}.Trace(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if f.json {
				err = operate.PrintJSON(cmd.OutOrStdout(), trace)
			} else {
				trace.Write(cmd.OutOrStdout(), f.command())
			}
			if n := trace.Missing(); err == nil && n > 0 {
				return fmt.Errorf("%d of its effects are missing", n)
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&read, "read", 200_000, "how many `items` of the outbox table to read at most, where no key leads to the event")
	check(cmd, func() error {
		if read < 1 {
			return fmt.Errorf("--read must be a whole number of 1 or more, got %d", read)
		}
		return nil
	})
	return cmd
}

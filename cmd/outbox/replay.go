package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

func newReplay() *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var r operate.Replay
	var since, until moment
	var from string
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send events to one consumer again",
		Long: `Send events to one consumer again, and to no other: those that its rule matches, from the outbox table, where they are for as
long as the outbox's EventRetention. What took effect before does not do so again, as long as the consumer remembers it.

It reads the table, or the one --aggregate of it, shows what it will send, and asks. An event that the consumer may have
forgotten when it gets it is sent only after another question, or with --forgotten: its effect may happen twice. An ordered
consumer gets the events of each aggregate in the order of their versions. After Ctrl-C it prints the command that goes on.

--from archive lets EventBridge replay the bus's archive to the consumer's rule, in no order, and waits for it.

--as-new lets the consumer forget these events first, so that all of them take effect again: for a consumer that begins anew
with an empty table. An ordered consumer forgets whole aggregates.`,
		Example: `  outbox replay --stack Orders-dev --consumer Ship --since 2h --dry-run
  outbox replay --stack Orders-dev --consumer Ship --aggregate Order#o-1
  outbox replay --stack Orders-dev --consumer Ship --from archive --since 2026-11-01T00:00:00Z --until 2026-11-02T00:00:00Z
  outbox replay --stack Orders-dev --consumer Search --as-new`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, stack, err := on.discover(cmd.Context())
			if err != nil {
				return err
			}
			r.DryRun = changes.dryRun
			sent, err := r.Run(cmd.Context(), clients, stack, changes.dialog(cmd, on.json), on.command())
			return withJSON(cmd, on.json, sent, err)
		},
	}
	on.add(cmd)
	changes.add(cmd)
	required(cmd, &r.Consumer, "consumer", "the consumer with the `id` or name")
	flags := cmd.Flags()
	flags.Var(&since, "since", "only events that were written then or later: 2026-11-01T00:00:00Z, or 2h for two hours ago")
	flags.Var(&until, "until", "only events that were written earlier")
	flags.StringVar(&r.Type, "type", "", "only events of the `type`")
	flags.StringVar(&r.Aggregate, "aggregate", "", "only events of the `aggregate`: Order#o-1, which reads no more than that, or o-1 for any type")
	flags.StringVar(&from, "from", "table", "take the events from the outbox `table`, or the bus's archive")
	flags.BoolVar(&r.AsNew, "as-new", false, "let the consumer forget the events first")
	flags.BoolVar(&r.Forgotten, "forgotten", false, "also events that the consumer may not remember any more")
	flags.IntVar(&r.Rate, "rate", 0, "send at most so `many` events a second; 0: as many as can be")
	check(cmd, func() error {
		r.Since, r.Until = since.Time, until.Time
		if from != "table" && from != "archive" {
			return fmt.Errorf("--from must be table or archive, got %q", from)
		}
		r.FromArchive = from == "archive"
		return r.Validate()
	})
	return cmd
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// searchFlags are the flags that say which effects are looked for.
type searchFlags struct {
	full         bool
	since, until moment
}

func (f *searchFlags) add(cmd *cobra.Command, s *operate.Search) {
	flags := cmd.Flags()
	flags.BoolVar(&f.full, "full", false, "look in the tables, not on the auditor's list; says before what it reads and costs")
	flags.Var(&f.since, "since", "only events that were written then or later: 2026-11-01T00:00:00Z, or 2h for two hours ago")
	flags.Var(&f.until, "until", "only events that were written earlier (default: those whose effects are due, by the audit's ConfirmWithin or 15 minutes)")
	flags.StringVar(&s.Consumer, "consumer", "", "only the consumer with the `id` or name")
	check(cmd, func() error {
		s.Full, s.Since, s.Until = f.full, f.since.Time, f.until.Time
		if !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
			return fmt.Errorf("--since must be before --until, got %s and %s", f.since.String(), f.until.String())
		}
		return nil
	})
}

func newAudit() *cobra.Command {
	var on stackFlags
	var search searchFlags
	var s operate.Search
	var limit int
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Compare what was committed with what took effect",
		Long: `Compare what was committed with what took effect: for each consumer how many events are its own, how many had their effect,
wait in a dead-letter queue, or are missing.

It reads what the auditor has on its list and what it has confirmed, and looks once more for each effect on the list. How
many were confirmed it knows by the time of the auditor's look, some minutes after the event was written: these counts are
approximate. With --full it reads the outbox table and what consumers remember instead, counts exactly, and needs no auditor;
it says before what that reads and costs. Consumers without an inbox cannot be audited. It changes nothing, but receives dead-letter messages and gives
them back.

It exits with 1 when something is missing. What waits in a dead-letter queue is not missing.

--json prints one object a line: {"missing": …} for each effect that is not there (consumer, id, source, type, aggregateType,
aggregateId, version, writtenAt, reason, deadLettered, repairedAt), and at the end {"ledger": …} (outbox, full, since, until,
committed, consumers: consumer, matched, effects, deadLetters, missing, inQueue).`,
		Example: `  outbox audit --stack Orders-dev
  outbox audit --stack Orders-dev --full --since 2026-11-01T00:00:00Z --until 2026-11-02T00:00:00Z
  outbox audit --local --full --until 1m --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, box, err := on.discoverOutbox(cmd.Context())
			if err != nil {
				return err
			}
			s.Clients, s.Outbox = clients, box
			s.Dialog = operate.NewDialog(nil, cmd.ErrOrStderr(), false, isTerminal(cmd.ErrOrStderr()))
			ledger, err := showLedger(cmd, s, on, limit)
			if err == nil && ledger.Missing() > 0 {
				return missingError(ledger.Missing())
			}
			return err
		},
	}
	on.add(cmd)
	search.add(cmd, &s)
	cmd.Flags().IntVar(&limit, "limit", 20, "list so `many` missing effects at most, without --json")
	check(cmd, func() error {
		if limit < 0 {
			return fmt.Errorf("--limit must be a whole number of 0 or more, got %d", limit)
		}
		return nil
	})
	return cmd
}

// missingError returns the error by which a command says that effects are missing.
func missingError(n int64) error {
	if n == 1 {
		return errors.New("1 effect is missing")
	}
	return fmt.Errorf("%d effects are missing", n)
}

// showLedger audits and prints what is missing and the ledger.
func showLedger(cmd *cobra.Command, s operate.Search, on stackFlags, limit int) (*operate.Ledger, error) {
	out := cmd.OutOrStdout()
	if on.json {
		ledger, err := operate.Audit(cmd.Context(), s, func(m operate.MissingEffect) error {
			return operate.PrintJSONLine(out, map[string]any{"missing": m})
		})
		if err != nil {
			return nil, err
		}
		return ledger, operate.PrintJSONLine(out, map[string]any{"ledger": ledger})
	}
	list := operate.MissingList{W: out, Limit: limit}
	ledger, err := operate.Audit(cmd.Context(), s, list.Add)
	if err != nil {
		return nil, err
	}
	list.End()
	width, _ := terminal.Width(out)
	ledger.Write(out, on.command(), width)
	return ledger, nil
}

func newRepair() *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var search searchFlags
	var r operate.Repair
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Send what is missing again, to the consumer that misses it",
		Long: `Send what is missing again, each event to the queue of the consumer that misses it, and to no other. It takes what the
auditor has on its list, or with --full what it finds missing in the tables.

It leaves alone what waits in a dead-letter queue (outbox dead-letters redrive brings that back), and consumers that have
messages in their queue, among which the event may be. A consumer recognizes an event that had its effect after all.

It shows what it will send, and asks. It may be stopped with Ctrl-C, and the same command goes on. An event that has left the
outbox table cannot be repaired.

--json prints one object: outbox, consumers (consumer, toSend, sent, deadLettered, recent, behind, expired, noQueue), more,
interrupted.`,
		Example: `  outbox repair --stack Orders-dev --dry-run
  outbox repair --stack Orders-dev --consumer Ship --yes
  outbox repair --stack Orders-dev --full --since 2d --type OrderCreated --rate 20`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, box, err := on.discoverOutbox(cmd.Context())
			if err != nil {
				return err
			}
			r.Clients, r.Outbox, r.DryRun = clients, box, changes.dryRun
			r.Dialog = changes.dialog(cmd, on.json)
			result, err := r.Run(cmd.Context(), on.command())
			if result == nil {
				return err
			}
			return withJSON(cmd, on.json, result, errors.Join(err, result.Unrepaired()))
		},
	}
	on.add(cmd)
	search.add(cmd, &r.Search)
	changes.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&r.Type, "type", "", "only events of the `type`")
	flags.StringVar(&r.Aggregate, "aggregate", "", "only events of the `aggregate`: Order#o-1, or o-1 for any type")
	flags.IntVar(&r.Rate, "rate", 100, "send at most so `many` events a second")
	flags.IntVar(&r.Maximum, "limit", 100_000, "send at most so `many` events in all")
	flags.BoolVar(&r.Behind, "behind", false, "also to consumers that have messages in their queue")
	check(cmd, func() error { return r.Validate() }) //nolint:gocritic // r.Validate would copy r before the flags are parsed
	return cmd
}

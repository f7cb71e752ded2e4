package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/smoke"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// smokeFlags are the flags of outbox smoke, beside those of all commands.
type smokeFlags struct {
	smoke.Selection
	list       bool
	report     string
	production bool
	wait       duration
}

func newSmoke() *cobra.Command {
	var on stackFlags
	var changes changeFlags
	var f smokeFlags
	cmd := &cobra.Command{
		Use:   "smoke",
		Short: "Check on a stack that is not production what nobody can verify without AWS",
		Long: `Check on a stack that is not production what nobody can verify without AWS: numbered checks, each with what AWS's
documentation leaves open. They place orders, commit events, make queues and rules, let an event fail, stop the pipe for
minutes, and remove or put back at the end what they made or changed, after Ctrl-C too. What could not be removed is named.

It says first what it will do, how long that takes and what it costs, and asks. A stack that looks like production is
refused: by its name, its termination protection, or the deletion protection of its table.

The report is a Markdown table to paste into an issue, without account ids: "differs" means that something is not as the
documents say, or not there in the local run, and that the code can do with it; docs/aws.md says how. It exits with 1 when a
check failed or something is left behind.

--json prints one object: stack, where, began, seconds, checks (number, title, outcome, observed, seconds, …), left,
interrupted.`,
		Example: `  outbox smoke --list
  outbox smoke --stack Orders-dev
  outbox smoke --stack Orders-dev --only 3,7 --report smoke.md
  outbox smoke --stack Orders-dev --skip 14 --yes
  outbox smoke --stack Orders-dev --after-destroy
  outbox smoke --local --yes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.list {
				return listChecks(cmd, on.json)
			}
			return f.run(cmd, on, changes)
		},
	}
	on.needless = func() bool { return f.list }
	on.add(cmd)
	changes.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.list, "list", false, "list the checks, and do nothing")
	flags.IntSliceVar(&f.Only, "only", nil, "only the checks with these `numbers`: 3,7")
	flags.IntSliceVar(&f.Skip, "skip", nil, "not the checks with these `numbers`")
	flags.BoolVar(&f.AfterDestroy, "after-destroy", false, "look for what cdk destroy has left of the stack")
	flags.StringVar(&f.report, "report", "", "write the report into the `file` (default: standard output)")
	flags.BoolVar(&f.production, smoke.ProductionFlag, false, "run them on a stack that looks like production")
	f.wait = duration{Duration: 20 * time.Minute, given: true}
	flags.Var(&f.wait, "wait", "wait so long at most for one thing to happen")
	check(cmd, func() error {
		if f.wait.Duration < time.Second {
			return fmt.Errorf("--wait must be 1s or longer, got %s", f.wait.Duration)
		}
		return f.Validate()
	})
	return cmd
}

func listChecks(cmd *cobra.Command, asJSON bool) error {
	if asJSON {
		return operate.PrintJSON(cmd.OutOrStdout(), smoke.Checks())
	}
	smoke.List(cmd.OutOrStdout(), smoke.Checks())
	return nil
}

// run runs the checks and writes their report.
func (f smokeFlags) run(cmd *cobra.Command, on stackFlags, changes changeFlags) error {
	clients, err := on.connect(cmd.Context())
	if err != nil {
		return err
	}
	file, err := f.open(changes.dryRun)
	if err != nil {
		return err
	}
	r := &smoke.Runner{
		Clients: smoke.NewClients(clients), Command: on.command(), Dialog: changes.dialog(cmd, true),
		Wait: f.wait.Duration, Production: f.production, DryRun: changes.dryRun,
	}
	report, err := f.checks(cmd.Context(), r, on)
	if report == nil {
		return errors.Join(err, discard(file))
	}
	return errors.Join(err, f.write(cmd, file, report, on.json), report.Problem())
}

// open opens the report's file before anything runs: the checks are not to be run again for want of a directory. It returns
// none where none is wanted.
func (f smokeFlags) open(dryRun bool) (*os.File, error) {
	if f.report == "" || dryRun {
		return nil, nil
	}
	file, err := os.OpenFile(f.report, os.O_RDWR|os.O_CREATE, 0o644) // what is in it stays there until there is a report
	if err != nil {
		return nil, fmt.Errorf("--report: %w", err)
	}
	return file, nil
}

// discard closes a file for which there is no report, and removes it where it is empty.
func discard(file *os.File) error {
	if file == nil {
		return nil
	}
	info, err := os.Lstat(file.Name())
	if err = errors.Join(err, file.Close()); err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
		return err
	}
	return os.Remove(file.Name())
}

func (f smokeFlags) checks(ctx context.Context, r *smoke.Runner, on stackFlags) (*smoke.Report, error) {
	if f.AfterDestroy {
		return r.AfterDestroy(ctx, on.stack)
	}
	var err error
	if r.Stack, err = operate.Discover(ctx, r.Clients.Clients, on.stack); err != nil {
		return nil, err
	}
	if r.Outbox, err = r.Stack.Outbox(on.outbox); err != nil {
		return nil, err
	}
	return r.Run(ctx, f.Of(smoke.Checks()))
}

// write writes the report where it is wanted, and to standard output where that fails: nobody has the minutes twice.
func (f smokeFlags) write(cmd *cobra.Command, file *os.File, report *smoke.Report, asJSON bool) error {
	if file == nil {
		return printReport(cmd.OutOrStdout(), report, asJSON)
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = file.Truncate(0)
	}
	if err == nil {
		err = printReport(file, report, asJSON)
	}
	if err = errors.Join(err, file.Close()); err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("write the report, which is on standard output instead: %w", err), printReport(cmd.OutOrStdout(), report, asJSON))
}

func printReport(out io.Writer, report *smoke.Report, asJSON bool) error {
	if asJSON {
		return operate.PrintJSON(out, report.Masked())
	}
	var text bytes.Buffer
	report.Markdown(terminal.Writer(&text))
	_, err := text.WriteTo(out)
	return err
}

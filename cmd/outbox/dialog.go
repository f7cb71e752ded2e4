package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// changeFlags are the flags of every command that changes something.
type changeFlags struct{ yes, dryRun bool }

func (f *changeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done, and do nothing")
	check(cmd, func() error {
		if f.yes && f.dryRun {
			return errors.New("--yes and --dry-run must not be given together")
		}
		return nil
	})
}

// dialog returns how the command talks to the person at the terminal: beside its JSON, not in it.
func (f *changeFlags) dialog(cmd *cobra.Command, asJSON bool) *operate.Dialog {
	notes := cmd.OutOrStdout()
	if asJSON {
		notes = cmd.ErrOrStderr()
	}
	d := operate.NewDialog(cmd.InOrStdin(), notes, f.yes, isTerminal(notes))
	if ctx := cmd.Context(); ctx != nil {
		d.Done = ctx.Done()
	}
	return d
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// withJSON prints a result as JSON where that is wanted, whatever the command came to.
func withJSON(cmd *cobra.Command, asJSON bool, value any, err error) error {
	if !asJSON {
		return err
	}
	return errors.Join(err, operate.PrintJSON(cmd.OutOrStdout(), value))
}

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/page/deployed"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

func newPage() *cobra.Command {
	var on stackFlags
	var write bool
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Show a deployed stack on a page in the browser",
		Long: `Show a deployed stack on a page in the browser: how events move through it and what waits where, what became of an event,
the dead-letter messages, and what needs a person. It serves the page on 127.0.0.1 only, to the browser of this machine,
until Ctrl-C.

The page changes nothing unless it is started with --write, which lets it redrive and discard dead-letter messages. To show
these it receives them, as outbox dead-letters list does. While the page is open it asks for the state of the stack's queues
every two seconds, and for everything that outbox status shows every ten.

outbox local serves a page of its own, with more.`,
		Example: `  outbox page --stack Orders-dev
  outbox page --stack Orders-dev --write
  outbox page --local`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			clients, stack, err := on.discover(ctx)
			if err != nil {
				return err
			}
			shown, err := deployed.New(ctx, deployed.Config{
				Clients: clients, Command: on.command(), Names: []string{stack.Name}, Outboxes: []*operate.Stack{stack}, Write: write,
				Save: func() string { return operate.DefaultSave(time.Now()) },
			})
			if err != nil {
				return err
			}
			listener, err := page.Listen(ctx, 0)
			if err != nil {
				return err
			}
			if on.json {
				err = operate.PrintJSONLine(cmd.OutOrStdout(), map[string]string{"page": page.URL(listener)})
			} else {
				fmt.Fprintln(terminal.Writer(cmd.OutOrStdout()), "Open "+page.URL(listener)+"   Ctrl-C ends it.")
			}
			if err != nil {
				listener.Close()
				return err
			}
			return page.New(shown, nil).Serve(ctx, listener)
		},
	}
	on.add(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "let the page redrive and discard dead-letter messages")
	return cmd
}

package main

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

func newInbox() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "inbox",
		Short:   "Look after what consumers remember",
		Example: "  outbox inbox copy --table NAME --from Orders/Outbox/History --to Orders/Outbox/OrderHistory",
	}
	group(cmd)
	cmd.AddCommand(newInboxCopy())
	return cmd
}

func newInboxCopy() *cobra.Command {
	var c operate.InboxCopy
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Carry a consumer's memory over to its new name",
		Long: `Carry a consumer's memory over to its new name: the markers of the events that it has handled, and its positions in the
order of aggregates. Without it a renamed consumer handles again what is delivered again.

Stop the consumer (disable its event source mapping), copy, deploy the new name, and enable it. The copy reads the whole
table, never moves a position backwards and never lets a marker expire earlier, so it may be repeated. It leaves the old
name's items, which expire or do no harm. It shows what it would do and asks before it writes.`,
		Example: `  outbox inbox copy --table NAME --from Orders/Outbox/History --to Orders/Outbox/OrderHistory --dry-run
  outbox inbox copy --table NAME --from Orders/Outbox/History --to Orders/Outbox/OrderHistory`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadDefaultConfig(cmd.Context())
			if err != nil {
				return fmt.Errorf("region and credentials: %w", err)
			}
			return c.Run(cmd.Context(), dynamodb.NewFromConfig(cfg), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	required(cmd, &c.Table, "table", "`name` or ARN of the inbox table")
	required(cmd, &c.From, "from", "the consumer's old `name`, its INBOX_CONSUMER")
	required(cmd, &c.To, "to", "the consumer's new `name`")
	cmd.Flags().BoolVar(&c.Yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "show what would be copied, and copy nothing")
	check(cmd, func() error { return c.Validate() }) //nolint:gocritic // c.Validate would copy c before the flags are parsed
	return cmd
}

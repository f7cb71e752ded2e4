package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

func newRedrive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Move dead-letter messages back to where they were not delivered",
		Long: `Move dead-letter messages back to where they were not delivered, once what kept them from it is fixed.

It works until the dead-letter queue gives nothing any more, and exits with 1 while something is left in it: it prints why
each message was kept, and how many are still in flight. Redriving twice is safe for consumers with an inbox.

The URLs and names are outputs of the stack; region and credentials come from the environment, as for the AWS CLI.`,
		Example: `  outbox redrive consumer --dlq URL --queue URL --memory 58d
  outbox redrive rule --dlq URL
  outbox redrive pipe --dlq URL --bus NAME --table NAME --source orders`,
	}
	group(cmd)
	cmd.AddCommand(newRedriveConsumer(), newRedriveRule(), newRedrivePipe())
	return cmd
}

func newRedriveConsumer() *cobra.Command {
	var dlq string
	var target redrive.ConsumerTarget
	var memory duration
	cmd := redriveCommand("consumer", "Move messages that a consumer could not handle to its queue",
		"  outbox redrive consumer --dlq URL --queue URL --memory 58d",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			target.Memory = memory.Duration
			return r.Consumer(ctx, dlq, target)
		})
	cmd.Long = cmd.Short + `.

A redrive gives a message a new age. --memory is how long the consumer remembers an event, which is its function's
environment variable INBOX_TTL_SECONDS: a message that the consumer might get after it has forgotten the event is kept,
because what it did before it would do again. --memory 0 says that no message is too old: for an ordered consumer,
which never forgets, for one without an inbox, and for a message that is known to have had no effect.

A message that came from another queue than --queue is kept: two consumers may share a dead-letter queue.`
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	required(cmd, &target.Queue, "queue", "`URL` of the consumer's queue")
	cmd.Flags().Var(&memory, "memory", "how long the consumer remembers an event, for example 58d, 1392h or 5011200s; 0: for good (required)")
	check(cmd, func() error {
		if !memory.given {
			return errors.New("--memory is required; outbox redrive consumer --help says what it takes")
		}
		return nil
	})
	return cmd
}

func newRedriveRule() *cobra.Command {
	var dlq string
	cmd := redriveCommand("rule", "Move events that a rule could not deliver to the queue that they were for",
		"  outbox redrive rule --dlq URL",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) { return r.Rule(ctx, dlq) })
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	return cmd
}

func newRedrivePipe() *cobra.Command {
	var dlq string
	var target redrive.PipeTarget
	cmd := redriveCommand("pipe", "Publish stream records that a pipe could not deliver",
		"  outbox redrive pipe --dlq URL --bus NAME --table NAME --source orders",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			return r.Pipe(ctx, dlq, target)
		})
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	required(cmd, &target.Bus, "bus", "`name` or ARN of the event bus")
	required(cmd, &target.OutboxTable, "table", "`name` or ARN of the outbox table")
	required(cmd, &target.Source, "source", "`source` of the outbox: only its events are published, of a table that others may share")
	return cmd
}

func redriveCommand(name, short, example string, redriveFrom func(context.Context, *redrive.Redriver) (redrive.Report, error)) *cobra.Command {
	return &cobra.Command{
		Use:     name,
		Short:   short,
		Example: example,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			redriver, err := newRedriver(cmd.Context())
			if err != nil {
				return err
			}
			report, err := redriveFrom(cmd.Context(), redriver)
			return errors.Join(err, operate.ShowRedrive(cmd.OutOrStdout(), report))
		},
	}
}

func newRedriver(ctx context.Context) (*redrive.Redriver, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("region and credentials: %w", err)
	}
	return redrive.New(redrive.Clients{
		SQS:         sqs.NewFromConfig(cfg),
		EventBridge: eventbridge.NewFromConfig(cfg),
		Streams:     dynamodbstreams.NewFromConfig(cfg),
		DynamoDB:    dynamodb.NewFromConfig(cfg),
	}), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

func newRedrive() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Move dead-letter messages back to where they were lost",
		Long: `Move dead-letter messages back to where they were lost, once what kept them from it is fixed.

The URLs and names are outputs of the stack; region and credentials come from the environment, as for the AWS CLI.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return misuse(errors.New("what to redrive is missing: consumer, rule or pipe; see outbox redrive --help"))
		},
	}
	cmd.AddCommand(newRedriveConsumer(), newRedriveRule(), newRedrivePipe())
	return cmd
}

func newRedriveConsumer() *cobra.Command {
	var dlq, queue string
	cmd := redriveCommand("consumer", "Messages that a consumer could not handle",
		"  outbox redrive consumer --dlq URL --queue URL",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			return r.Consumer(ctx, dlq, queue)
		})
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	required(cmd, &queue, "queue", "`URL` of the consumer's queue")
	return cmd
}

func newRedriveRule() *cobra.Command {
	var dlq string
	cmd := redriveCommand("rule", "Events that a rule could not deliver",
		"  outbox redrive rule --dlq URL",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) { return r.Rule(ctx, dlq) })
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	return cmd
}

func newRedrivePipe() *cobra.Command {
	var dlq string
	var target redrive.PipeTarget
	cmd := redriveCommand("pipe", "Stream records that a pipe could not deliver",
		"  outbox redrive pipe --dlq URL --bus NAME --table NAME",
		func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			return r.Pipe(ctx, dlq, target)
		})
	required(cmd, &dlq, "dlq", "`URL` of the dead-letter queue")
	required(cmd, &target.Bus, "bus", "`name` or ARN of the event bus")
	required(cmd, &target.OutboxTable, "table", "`name` or ARN of the outbox table")
	return cmd
}

// required adds a flag that must be given and not be empty.
func required(cmd *cobra.Command, value *string, name, usage string) {
	cmd.Flags().StringVar(value, name, "", usage)
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		var problems []error
		if check != nil {
			problems = append(problems, check(cmd, args))
		}
		if *value == "" {
			problems = append(problems, fmt.Errorf("--%s is missing", name))
		}
		return misuse(errors.Join(problems...))
	}
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
			return errors.Join(err, show(cmd.OutOrStdout(), report))
		},
	}
}

func newRedriver(ctx context.Context) (*redrive.Redriver, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return redrive.New(redrive.Clients{
		SQS:         sqs.NewFromConfig(cfg),
		EventBridge: eventbridge.NewFromConfig(cfg),
		Streams:     dynamodbstreams.NewFromConfig(cfg),
		DynamoDB:    dynamodb.NewFromConfig(cfg),
	}), nil
}

// show prints what became of the messages. What was kept is an error, with the reason for each.
func show(out io.Writer, report redrive.Report) error {
	fmt.Fprintf(out, "%d redriven, %d kept\n", report.Redriven, len(report.Kept))
	var problems []error
	for _, kept := range report.Kept {
		problems = append(problems, fmt.Errorf("message %s: %w", kept.MessageID, kept.Err))
	}
	return errors.Join(problems...)
}

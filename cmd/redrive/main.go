// Command redrive puts dead letters back on their way, once what kept them from it is mended. The URLs
// and names are outputs of the stack; region and credentials come from the environment, as for the AWS CLI.
//
//	redrive consumer --dlq URL --queue URL
//	redrive rule     --dlq URL
//	redrive pipe     --dlq URL --bus NAME --table NAME
//
// It ends with 1 when a letter could not be redriven, and says why for each.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

const usage = `Put dead letters back on their way.

  redrive consumer --dlq URL --queue URL              messages that a consumer could not handle
  redrive rule     --dlq URL                          events that a rule could not deliver
  redrive pipe     --dlq URL --bus NAME --table NAME  stream records that a pipe could not deliver

`

// request is what the command line asks for.
type request struct {
	kind, dlq, queue, bus, table string
}

func main() {
	r, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		err = run(ctx, r, os.Stdout)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redrive:", err)
		os.Exit(1)
	}
}

func parse(args []string, help io.Writer) (request, error) {
	var r request
	flags := flag.NewFlagSet("redrive", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&r.dlq, "dlq", "", "`URL` of the dead-letter queue")
	flags.StringVar(&r.queue, "queue", "", "`URL` of the consumer's queue")
	flags.StringVar(&r.bus, "bus", "", "`name` or ARN of the event bus")
	flags.StringVar(&r.table, "table", "", "`name` or ARN of the outbox table")
	flags.Usage = func() {
		fmt.Fprint(help, usage)
		flags.PrintDefaults()
	}
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		r.kind, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	return r, r.validate()
}

func (r request) validate() error {
	needed := map[string]map[string]string{
		"consumer": {"dlq": r.dlq, "queue": r.queue},
		"rule":     {"dlq": r.dlq},
		"pipe":     {"dlq": r.dlq, "bus": r.bus, "table": r.table},
	}[r.kind]
	if needed == nil {
		return fmt.Errorf("what to redrive is %q, allowed are consumer, rule and pipe", r.kind)
	}
	var problems []error
	for _, name := range []string{"dlq", "queue", "bus", "table"} {
		if value, asked := needed[name]; asked && value == "" {
			problems = append(problems, fmt.Errorf("--%s is missing", name))
		}
	}
	return errors.Join(problems...)
}

func run(ctx context.Context, r request, out io.Writer) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	redriver := redrive.New(redrive.Clients{
		SQS:         sqs.NewFromConfig(cfg),
		EventBridge: eventbridge.NewFromConfig(cfg),
		Streams:     dynamodbstreams.NewFromConfig(cfg),
		DynamoDB:    dynamodb.NewFromConfig(cfg),
	})
	var report redrive.Report
	switch r.kind {
	case "consumer":
		report, err = redriver.Consumer(ctx, r.dlq, r.queue)
	case "rule":
		report, err = redriver.Rule(ctx, r.dlq)
	case "pipe":
		report, err = redriver.Pipe(ctx, r.dlq, redrive.PipeTarget{Bus: r.bus, OutboxTable: r.table})
	}
	fmt.Fprintf(out, "%d redriven, %d kept\n", report.Redriven, len(report.Kept))
	for _, kept := range report.Kept {
		err = errors.Join(err, fmt.Errorf("letter %s: %w", kept.MessageID, kept.Err))
	}
	return err
}

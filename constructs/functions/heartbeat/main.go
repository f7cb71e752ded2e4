// Command heartbeat is the function by which an outbox finds out whether its own events arrive. Once a minute it commits an
// event, and receives those that came through pipe, bus, rule and queue since the last time.
//
// The construct ships it, with Monitor.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

func main() {
	m, err := wire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(m.beat)
}

// wire makes the function from its environment. Its error names every variable that is missing.
func wire(ctx context.Context) (*monitor, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	m := &monitor{queues: sqs.NewFromConfig(cfg), metrics: os.Stdout, logger: slog.New(slog.NewJSONHandler(os.Stdout, nil))}
	m.outbox, err = outbox.FromEnv(dynamodb.NewFromConfig(cfg))
	problems := []error{err}
	for name, into := range map[string]*string{"HEARTBEAT_QUEUE_URL": &m.queue, "OUTBOX_PATH": &m.path} {
		if *into = os.Getenv(name); *into == "" {
			problems = append(problems, fmt.Errorf("environment variable %s is not set", name))
		}
	}
	return m, errors.Join(problems...)
}

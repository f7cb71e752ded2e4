// Command auditor is the function that looks for the effect of each committed event. It reads the stream of the outbox table
// by itself, so it does not depend on the pipe, the bus, the rules and the queues whose failures it is to find.
//
// The construct ships it, with Audit. AUDIT_PARAMETERS is the path of the descriptions of the outbox and its consumers,
// "/outboxkit/<stack>/<outbox>"; everything else it finds there.
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
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

func main() {
	a, err := wire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(a.handle)
}

// wire makes the function from its environment.
func wire(ctx context.Context) (*auditor, error) {
	path := os.Getenv("AUDIT_PARAMETERS")
	if path == "" {
		return nil, errors.New("environment variable AUDIT_PARAMETERS is not set")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	queues := sqs.NewFromConfig(cfg)
	return &auditor{
		tables: dynamodb.NewFromConfig(cfg), queues: queues,
		catalog: catalog{parameters: ssm.NewFromConfig(cfg), queues: queues, pipes: pipes.NewFromConfig(cfg), path: path},
		metrics: os.Stdout, logger: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}, nil
}

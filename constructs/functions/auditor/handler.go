package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// tables is what the function needs of DynamoDB.
type tables interface {
	audit.BatchReader
	audit.ItemReader
	audit.ListTable
}

// queues is what the function needs of SQS.
type queues interface {
	audit.QueueReader
	audit.QueueSender
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
}

// An auditor looks for effects. It is invoked in two ways: with new events from the stream, which it notes in a queue until
// they are due; and each minute, to look for the effects of those that are.
type auditor struct {
	tables  tables
	queues  queues
	catalog catalog
	waiting waiting
	metrics io.Writer
	logger  *slog.Logger
}

// An invocation is either a batch of the stream or an event of the schedule.
type invocation struct {
	Records []json.RawMessage `json:"Records"`

	Source  string `json:"source"`
	Account string `json:"account"`
	Region  string `json:"region"`
}

// handle is the Lambda handler. It answers a batch with what failed of it, and the schedule with nothing.
func (a *auditor) handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var in invocation
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("read the invocation: %w", err)
	}
	switch {
	case in.Records != nil:
		return a.collect(ctx, in.Records)
	case in.Source == "aws.events":
		return nil, a.run(ctx, audit.Place{Account: in.Account, Region: in.Region})
	}
	return nil, fmt.Errorf("an invocation must be a batch of a DynamoDB stream or an event of a schedule, got %.200s", raw)
}

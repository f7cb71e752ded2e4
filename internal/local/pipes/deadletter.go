package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// A deadLetterQueue sends messages that name the records that were given up. As on AWS, a message does not hold the
// records: they are read back from the stream, while it has them, or from the table.
type deadLetterQueue struct {
	client *sqs.Client
	url    string
	pipe   string // ARN
	stream string // ARN
}

// A message is what AWS's pipes send to a dead-letter queue.
// Source: Lambda developer guide, services-dynamodb-errors, for DDBStreamBatchInfo; a pipe has context in
// place of Lambda's requestContext and responseContext.
type message struct {
	Context   messageContext    `json:"context"`
	Version   string            `json:"version"`
	Timestamp time.Time         `json:"timestamp"`
	Batch     streams.BatchInfo `json:"DDBStreamBatchInfo"`
}

type messageContext struct {
	Pipe      string    `json:"partnerResourceArn"`
	Condition Condition `json:"condition"`
}

// Send implements DeadLetter.
func (q *deadLetterQueue) Send(ctx context.Context, r Rejected) error {
	body, err := json.Marshal(message{
		Context:   messageContext{Pipe: q.pipe, Condition: r.Condition},
		Version:   "1.0",
		Timestamp: time.Now().UTC().Truncate(time.Millisecond),
		Batch:     streams.NewBatchInfo(q.stream, r.Shard, r.Records),
	})
	if err != nil {
		return err
	}
	if _, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(body))}); err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}

package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
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
	Context   messageContext `json:"context"`
	Version   string         `json:"version"`
	Timestamp time.Time      `json:"timestamp"`
	Batch     batchInfo      `json:"DDBStreamBatchInfo"`
}

type messageContext struct {
	Pipe      string    `json:"partnerResourceArn"`
	Condition Condition `json:"condition"`
}

type batchInfo struct {
	ShardID      string    `json:"shardId"`
	Start        string    `json:"startSequenceNumber"`
	End          string    `json:"endSequenceNumber"`
	FirstArrival time.Time `json:"approximateArrivalOfFirstRecord"`
	LastArrival  time.Time `json:"approximateArrivalOfLastRecord"`
	Size         int       `json:"batchSize"`
	Stream       string    `json:"streamArn"`
}

// Send implements DeadLetter.
func (q *deadLetterQueue) Send(ctx context.Context, r Rejected) error {
	first, last := r.Records[0], r.Records[len(r.Records)-1]
	body, err := json.Marshal(message{
		Context:   messageContext{Pipe: q.pipe, Condition: r.Condition},
		Version:   "1.0",
		Timestamp: time.Now().UTC().Truncate(time.Millisecond),
		Batch: batchInfo{
			ShardID:      r.Shard,
			Start:        first.SequenceNumber,
			End:          last.SequenceNumber,
			FirstArrival: first.Arrival.UTC().Truncate(time.Second),
			LastArrival:  last.Arrival.UTC().Truncate(time.Second),
			Size:         len(r.Records),
			Stream:       q.stream,
		},
	})
	if err != nil {
		return err
	}
	if _, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(body))}); err != nil {
		return fmt.Errorf("send to the dead-letter queue: %w", err)
	}
	return nil
}

package eventsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// maxDelete limits the messages that one request deletes. Source: SQS API reference, DeleteMessageBatch.
const maxDelete = 10

// An sqsQueue is a queue of SQS.
type sqsQueue struct {
	client *sqs.Client
	url    string
}

func (q *sqsQueue) Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &q.url,
		MaxNumberOfMessages:         int32(limit),
		WaitTimeSeconds:             int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

func (q *sqsQueue) Delete(ctx context.Context, messages []types.Message) error {
	var problems []error
	for chunk := range slices.Chunk(messages, maxDelete) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(chunk))
		for i, m := range chunk {
			id := strconv.Itoa(i)
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: m.ReceiptHandle}
		}
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, f := range out.Failed {
			problems = append(problems, fmt.Errorf("%s: %s", deref(f.Code), deref(f.Message)))
		}
	}
	return errors.Join(problems...)
}

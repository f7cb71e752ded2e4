package messages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// maxReceive limits the messages that one receive returns. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// longPoll is the longest wait that SQS allows. Source: the same.
	longPoll = 20 * time.Second
	// maxDelete limits the messages that one request deletes. Source: SQS API reference, DeleteMessageBatch.
	maxDelete = 10
)

// A Queue is the part of SQS that a [Poller] uses.
type Queue interface {
	// Receive returns up to limit messages, at most 10, as soon as there are any, and none after wait,
	// which is a whole number of seconds from 1.
	Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error)
	// Delete deletes messages that were received.
	Delete(ctx context.Context, messages []types.Message) error
}

// An sqsQueue is a queue of SQS.
type sqsQueue struct {
	client *sqs.Client
	url    string
}

// NewQueue returns the queue of SQS with that URL.
func NewQueue(client *sqs.Client, url string) Queue { return &sqsQueue{client: client, url: url} }

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
			problems = append(problems, fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))
		}
	}
	return errors.Join(problems...)
}

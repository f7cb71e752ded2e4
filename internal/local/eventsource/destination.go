package eventsource

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A destination accepts messages about records that were given up.
type destination interface {
	send(ctx context.Context, message string) error
}

// newDestination returns the queue or topic with that ARN, as the function's role sees it.
func newDestination(role *cloud.Cloud, arn string) destination {
	if cloud.IsTopic(arn) {
		return topicDestination{role.Topics(), arn}
	}
	return &queueDestination{client: role.SQS(), url: role.QueueURL(arn)}
}

type queueDestination struct {
	client *sqs.Client
	url    string
}

func (q *queueDestination) send(ctx context.Context, message string) error {
	if _, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &message}); err != nil {
		return fmt.Errorf("send to the destination of failures: %w", err)
	}
	return nil
}

// A topicDestination is a topic. What the function's role may do is checked when the mapping is made.
type topicDestination struct {
	topics cloud.Topics
	arn    string
}

func (t topicDestination) send(ctx context.Context, message string) error {
	if err := t.topics.Send(ctx, t.arn, "", message); err != nil {
		return fmt.Errorf("send to the destination of failures: %w", err)
	}
	return nil
}

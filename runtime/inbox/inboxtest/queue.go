package inboxtest

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

// A Queue is SQS for one consumer, in memory: it keeps what the consumer moves to its dead-letter queue. The zero value is
// ready for use. It is older than every event, so an ordered consumer skips none. Its methods may be called from many
// goroutines.
type Queue struct {
	mu   sync.Mutex
	dead []DeadLetterMessage
}

var _ inbox.SQS = (*Queue)(nil)

// A DeadLetterMessage is a message that waits in the dead-letter queue.
type DeadLetterMessage struct {
	Body   string
	Reason string // why, at most 1,024 bytes of it
}

// DeadLetters returns the messages in the dead-letter queue, in the order in which they came.
func (q *Queue) DeadLetters() []DeadLetterMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.dead)
}

// SendMessage implements the call of that name.
func (q *Queue) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead = append(q.dead, DeadLetterMessage{aws.ToString(in.MessageBody), aws.ToString(in.MessageAttributes[inbox.ReasonAttribute].StringValue)})
	return &sqs.SendMessageOutput{}, nil
}

// GetQueueAttributes implements the call of that name.
func (q *Queue) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"CreatedTimestamp": "0"}}, nil
}

// ChangeMessageVisibility implements the call of that name. The message comes again when the test hands it over again.
func (q *Queue) ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

package async

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// maxErrorMessage limits the bytes of the error in a dead-letter message.
// Source: Lambda developer guide, invocation-async-retain-records, "Dead-letter queue message attributes".
const maxErrorMessage = 1 << 10

// A Message is what Lambda sends to a queue.
type Message struct {
	Queue string // ARN
	Body  string
	// RequestID, ErrorCode and ErrorMessage are attributes of a dead-letter message, else empty.
	RequestID, ErrorCode, ErrorMessage string
}

// Messages returns what Lambda sends about an invocation that has ended: a record to the destination of successes or
// failures, and what has failed to the dead-letter queue.
func (s Settings) Messages(i Invocation) []Message {
	id := newRequestID()
	if i.Condition == Success {
		return toDestination(s.OnSuccess, i.record(id))
	}
	messages := toDestination(s.OnFailure, i.record(id))
	if s.DeadLetterQueue == "" {
		return messages
	}
	text := "the event is older than " + s.MaxAge.String()
	if i.Err != nil {
		text = i.failure().Message
	}
	return append(messages, Message{
		Queue: s.DeadLetterQueue, Body: string(i.Payload),
		RequestID: id, ErrorCode: strconv.Itoa(statusOK), ErrorMessage: firstBytes(text, maxErrorMessage),
	})
}

func toDestination(queue, record string) []Message {
	if queue == "" {
		return nil
	}
	return []Message{{Queue: queue, Body: record}}
}

// firstBytes returns the beginning of a text, at most n bytes of whole characters.
func firstBytes(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// A Sender sends a message with the role of a function.
type Sender func(ctx context.Context, functionARN string, m Message) error

// NewSender returns one for the queues of the cloud.
func NewSender(c *cloud.Cloud) Sender {
	return func(ctx context.Context, functionARN string, m Message) error {
		in := &sqs.SendMessageInput{QueueUrl: aws.String(c.QueueURL(m.Queue)), MessageBody: &m.Body}
		if m.RequestID != "" {
			in.MessageAttributes = map[string]types.MessageAttributeValue{
				"RequestID":    {DataType: aws.String("String"), StringValue: &m.RequestID},
				"ErrorCode":    {DataType: aws.String("Number"), StringValue: &m.ErrorCode},
				"ErrorMessage": {DataType: aws.String("String"), StringValue: &m.ErrorMessage},
			}
		}
		_, err := c.AssumeFunction(functionARN).SQS().SendMessage(ctx, in)
		return err
	}
}

// Send sends all messages. Its error names the queues that did not take theirs.
func (send Sender) Send(ctx context.Context, functionARN string, messages []Message) error {
	var problems []error
	for _, m := range messages {
		if err := send(ctx, functionARN, m); err != nil {
			problems = append(problems, fmt.Errorf("%s did not accept what became of the invocation: %w", m.Queue, err))
		}
	}
	return errors.Join(problems...)
}

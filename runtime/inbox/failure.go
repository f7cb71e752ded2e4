package inbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Permanent marks an error that no retry can fix, for example an order in a state that forbids the
// change. The message goes straight to the dead-letter queue, with the reason as message attribute
// ReasonAttribute; only when it has arrived there is it acknowledged. The event is not remembered as
// handled, so it can be redriven. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// The attributes of a message that was moved to the dead-letter queue.
const (
	ReasonAttribute   = "inbox.reason"   // the error's text, at most 1,024 bytes of it
	ConsumerAttribute = "inbox.consumer" // the consumer's name
	QueueAttribute    = "inbox.queue"    // the ARN of the queue that it came from
)

const (
	maxReason = 1024
	// maxAttributes is how many attributes a message can have.
	// Source: SQS developer guide, "Amazon SQS message metadata".
	maxAttributes = 10
)

// attrTraceHeader is the system attribute in which a message carries X-Ray's trace header.
// Source: SQS API reference, MessageSystemAttributeValue.
var attrTraceHeader = string(types.MessageSystemAttributeNameForSendsAWSTraceHeader)

// deadLetter sends the message, as it came and in its trace, to the dead-letter queue.
func (c *consumer) deadLetter(ctx context.Context, m *message, reason error) error {
	attributes := map[string]types.MessageAttributeValue{
		ReasonAttribute:   stringAttribute(printable(reason.Error())),
		ConsumerAttribute: stringAttribute(c.store.config.Consumer),
	}
	if m.sqs.EventSourceARN != "" { // SQS takes no empty attribute
		attributes[QueueAttribute] = stringAttribute(m.sqs.EventSourceARN)
	}
	for _, name := range slices.Sorted(maps.Keys(m.sqs.MessageAttributes)) {
		if _, own := attributes[name]; !own && len(attributes) < maxAttributes {
			attributes[name] = attributeOf(m.sqs.MessageAttributes[name])
		}
	}
	input := &sqs.SendMessageInput{
		QueueUrl:          &c.store.config.DeadLetterQueueURL,
		MessageBody:       &m.sqs.Body,
		MessageAttributes: attributes,
	}
	if header, ok := m.sqs.Attributes[attrTraceHeader]; ok {
		input.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{attrTraceHeader: {
			DataType: aws.String("String"), StringValue: &header,
		}}
	}
	if strings.HasSuffix(c.store.config.DeadLetterQueueURL, fifo) {
		input.MessageGroupId = aws.String(m.sqs.Attributes[attrGroup])
		input.MessageDeduplicationId = &m.sqs.MessageId
	}
	if _, err := c.store.queues.SendMessage(ctx, input); err != nil {
		return fmt.Errorf("move to the dead-letter queue: %w", err)
	}
	return nil
}

func stringAttribute(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

func attributeOf(a events.SQSMessageAttribute) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String(a.DataType), StringValue: a.StringValue, BinaryValue: a.BinaryValue}
}

// printable cuts the text to what a message attribute can hold.
// Source: SQS API reference, SendMessage, the characters of a message.
func printable(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return ' '
		}
		return r
	}, text)
	if text == "" {
		return "no reason was given"
	}
	return text
}

// panicError is a panic of the application's function.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// errGoexit: the application's function ended its goroutine instead of returning.
var errGoexit = errors.New("the function called runtime.Goexit")

// protect calls a function of the application. Its panic or runtime.Goexit is an error, so that it fails one
// message and not the batch: a Goexit would take the goroutine that handles other messages with it.
func protect(call func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() {
			if value := recover(); value != nil {
				err = &panicError{value: value, stack: debug.Stack()}
			}
			result <- err
		}()
		err = call()
	}()
	return <-result
}

func stackOf(err error) string {
	var p *panicError
	if errors.As(err, &p) {
		return string(p.stack)
	}
	return ""
}

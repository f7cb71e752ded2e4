package redrive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

// Queues is what a redrive needs of SQS. The application's *sqs.Client fits.
type Queues interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}

// Buses is what the letters of a pipe need of EventBridge. The application's *eventbridge.Client fits.
type Buses interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Streams is what the letters of a pipe need of DynamoDB Streams. A *dynamodbstreams.Client fits.
type Streams interface {
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// Tables is what the letters of a pipe need of DynamoDB once the stream has forgotten a record. The
// application's *dynamodb.Client fits.
type Tables interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Clients are the services that a redrive uses. Only Pipe needs more than SQS.
type Clients struct {
	SQS         Queues
	EventBridge Buses
	Streams     Streams
	DynamoDB    Tables
}

// Redriver puts dead letters back on their way. It is safe for concurrent use on different queues.
type Redriver struct{ clients Clients }

// New is a Redriver.
func New(clients Clients) *Redriver { return &Redriver{clients} }

// Report says what a redrive did with the letters that were in the queue when it began.
type Report struct {
	Redriven int    // letters that were accepted where they belong, and deleted
	Kept     []Kept // letters that stay
}

// Kept is a letter that could not be redriven. It is visible in its queue again within a minute.
type Kept struct {
	MessageID string
	Err       error
}

// hideFor is how long a letter that is being redriven, or was kept, is hidden from the next receive, in
// seconds: longer than forwarding one batch takes.
const hideFor = 60

// Consumer moves the letters of a consumer's dead-letter queue back to the consumer's queue. Both are URLs.
// What the inbox noted about the failure is taken off the messages.
func (r *Redriver) Consumer(ctx context.Context, deadLetterQueue, queue string) (Report, error) {
	if strings.HasSuffix(queue, ".fifo") {
		return Report{}, fmt.Errorf("redrive to %s: FIFO queues are not supported, use StartMessageMoveTask", queue)
	}
	return r.each(ctx, deadLetterQueue, func(m types.Message) error {
		attributes := map[string]types.MessageAttributeValue{}
		for name, value := range m.MessageAttributes {
			if name != inbox.ReasonAttribute && name != inbox.ConsumerAttribute {
				attributes[name] = value
			}
		}
		return r.send(ctx, queue, m.Body, attributes)
	})
}

func (r *Redriver) send(ctx context.Context, queue string, body *string, attributes map[string]types.MessageAttributeValue) error {
	_, err := r.clients.SQS.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: body, MessageAttributes: attributes})
	if err != nil {
		return fmt.Errorf("send to %s: %w", queue, err)
	}
	return nil
}

// each forwards as many letters as the queue has now. One that comes back meanwhile, because what it tells
// still cannot be handled, is not taken again and again.
func (r *Redriver) each(ctx context.Context, queue string, forward func(types.Message) error) (Report, error) {
	var report Report
	left, err := r.count(ctx, queue)
	for err == nil && left > 0 {
		var letters []types.Message
		if letters, err = r.receive(ctx, queue, left); err != nil || len(letters) == 0 {
			break
		}
		left -= len(letters)
		for _, m := range letters {
			err = errors.Join(err, r.one(ctx, queue, m, forward, &report))
		}
	}
	if err != nil {
		return report, fmt.Errorf("redrive %s: %w", queue, err)
	}
	return report, nil
}

// one forwards a letter, and deletes it if that worked.
func (r *Redriver) one(ctx context.Context, queue string, m types.Message, forward func(types.Message) error, report *Report) error {
	if err := forward(m); err != nil {
		report.Kept = append(report.Kept, Kept{MessageID: aws.ToString(m.MessageId), Err: err})
		return ctx.Err()
	}
	report.Redriven++
	if _, err := r.clients.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
		return fmt.Errorf("letter %s was redriven and could not be deleted: %w", aws.ToString(m.MessageId), err)
	}
	return nil
}

func (r *Redriver) count(ctx context.Context, queue string) (int, error) {
	out, err := r.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &queue,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages},
	})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
}

// maxReceive is the most messages that one receive returns. Source: SQS API reference, ReceiveMessage.
const maxReceive = 10

func (r *Redriver) receive(ctx context.Context, queue string, most int) ([]types.Message, error) {
	out, err := r.clients.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &queue,
		MaxNumberOfMessages:   int32(min(most, maxReceive)),
		VisibilityTimeout:     hideFor,
		WaitTimeSeconds:       2, // asks all of SQS's servers, so that none is overlooked
		MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

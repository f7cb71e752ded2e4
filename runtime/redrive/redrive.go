package redrive

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Queues is what a redrive needs of SQS. The application's *sqs.Client fits.
type Queues interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}

// Buses is what the messages of a pipe need of EventBridge. The application's *eventbridge.Client fits.
type Buses interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Streams is what the messages of a pipe need of DynamoDB Streams. A *dynamodbstreams.Client fits.
type Streams interface {
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// Tables is what the messages of a pipe need of DynamoDB once the stream no longer has a record. The
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

// A Redriver moves dead-letter messages back to where they were not delivered. It is safe for concurrent use on different queues.
type Redriver struct {
	clients   Clients
	selection Selection
}

// New returns a Redriver that uses the clients.
func New(clients Clients) *Redriver { return &Redriver{clients: clients} }

// Selecting returns a Redriver that redrives what the selection says.
func (r *Redriver) Selecting(s Selection) *Redriver { return &Redriver{r.clients, s} }

// A Selection says which messages of a dead-letter queue are redriven, and how. The zero value redrives all of them as they
// come.
type Selection struct {
	// Match reports whether a message is redriven. What it does not match stays in the queue, is visible again within a
	// minute and counts as Report.Skipped. Default: every message matches.
	Match func(types.Message) bool
	// InOrder redrives the events of each aggregate in the order of their versions, as is right for an ordered consumer, which
	// otherwise sends an early one round once more. Messages are collected before the first is sent, up to 10,000 or 256 MB
	// of them at a time. Where one event is kept, the later ones of its aggregate are too. Default: as they come.
	InOrder bool
	// Progress is called after each message that was redriven or kept. Default: nobody is told.
	Progress func(Report)
}

// A Report is what a redrive did with the messages of a dead-letter queue.
type Report struct {
	Redriven int    // messages that were accepted where they belong
	Kept     []Kept // messages that stay in the queue, each with the reason
	Skipped  int    // messages that stay because the selection does not match them
	// Left is how many messages the queue holds besides those kept and skipped, because another receiver has them, they are
	// delayed, or they arrived at the very end. It is SQS's approximate count.
	Left int
}

// Done reports whether the redrive left nothing behind of what it was to redrive.
func (r Report) Done() bool { return len(r.Kept) == 0 && r.Left == 0 }

// A Kept is a message that could not be redriven. It is visible in its queue again within a minute.
type Kept struct {
	MessageID string
	Err       error
}

package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/internal/environment"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// DynamoDB is what a Store needs of DynamoDB. The application's *dynamodb.Client fits.
type DynamoDB interface {
	outbox.Client
	outbox.ItemReader
}

// SQS is what a Store needs of SQS. The application's *sqs.Client fits.
type SQS interface {
	messageSender
	visibilityChanger
}

// messageSender moves a message to the dead-letter queue.
type messageSender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// visibilityChanger makes a message that came too early come back soon.
type visibilityChanger interface {
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

// DefaultConcurrency is how many messages of a batch are handled at the same time.
const DefaultConcurrency = 10

// Config says who consumes, and where that is remembered.
type Config struct {
	// Table is the name or ARN of the inbox table: its partition key is "pk", a string, and its TTL
	// attribute "expiresAt". Required.
	Table string
	// Consumer names the consumer in the inbox table; renaming one makes it handle everything anew. It
	// must not contain '#'. Required.
	Consumer string
	// TTL is how long an event is remembered: longer than it can come again, which is the retention of the
	// queue, plus that of its dead-letter queue, plus the time an archive may be replayed. Required.
	TTL time.Duration
	// QueueURL is the queue that the messages come from. Required.
	QueueURL string
	// DeadLetterQueueURL is where messages go that failed for good (see Permanent). Required.
	DeadLetterQueueURL string
	// Outbox is where the events go that the consumer appends. Default: it can append none.
	Outbox outbox.Config
	// Concurrency is how many messages of a batch are handled at the same time.
	// Default: DefaultConcurrency.
	Concurrency int
	// Logger takes one line a message. Default: JSON on standard output.
	Logger *slog.Logger
	// Metrics takes a line in CloudWatch's embedded metric format a batch. Default: standard output, from
	// where Lambda hands them to CloudWatch. io.Discard turns them off.
	Metrics io.Writer
}

// Store remembers which events a consumer has handled. It is safe for concurrent use; make one when the
// function starts.
type Store struct {
	config Config
	db     DynamoDB
	queues SQS
	outbox *outbox.Outbox
}

// New is a Store. The error names everything that is missing or wrong in the configuration.
func New(db DynamoDB, queues SQS, config Config) (*Store, error) {
	var problems []error
	for _, field := range []struct{ name, value string }{
		{"Table", config.Table},
		{"Consumer", config.Consumer},
		{"QueueURL", config.QueueURL},
		{"DeadLetterQueueURL", config.DeadLetterQueueURL},
	} {
		if field.value == "" {
			problems = append(problems, fmt.Errorf("%s is empty", field.name))
		}
	}
	if strings.Contains(config.Consumer, "#") {
		problems = append(problems, fmt.Errorf("consumer %q contains '#', which separates it from the event's id", config.Consumer))
	}
	if config.TTL < time.Second {
		problems = append(problems, fmt.Errorf("TTL is %s, at least 1s is needed", config.TTL))
	}
	if config.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("concurrency is %d, at least 1 is needed, or 0 for %d", config.Concurrency, DefaultConcurrency))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	config.Concurrency = cmp.Or(config.Concurrency, DefaultConcurrency)
	if config.Metrics == nil {
		config.Metrics = os.Stdout
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	}
	return &Store{config: config, db: db, queues: queues, outbox: outbox.New(db, config.Outbox)}, nil
}

// FromEnv is New with what the construct gave to the function: INBOX_TABLE, INBOX_CONSUMER,
// INBOX_TTL_SECONDS, CONSUMER_QUEUE_URL and CONSUMER_DLQ_URL, and where the consumer appends events,
// OUTBOX_TABLE, OUTBOX_SOURCE and OUTBOX_RETENTION_SECONDS, which outbox.FromEnv describes. The error names
// every variable that is missing or wrong.
func FromEnv(db DynamoDB, queues SQS) (*Store, error) {
	var env environment.Variables
	config := Config{
		Table:              env.Need("INBOX_TABLE"),
		Consumer:           env.Need("INBOX_CONSUMER"),
		QueueURL:           env.Need("CONSUMER_QUEUE_URL"),
		DeadLetterQueueURL: env.Need("CONSUMER_DLQ_URL"),
		Outbox:             outbox.Config{Table: os.Getenv("OUTBOX_TABLE"), Source: os.Getenv("OUTBOX_SOURCE")},
	}
	if ttl := env.Need("INBOX_TTL_SECONDS"); ttl != "" {
		seconds, err := strconv.ParseInt(ttl, 10, 32)
		if err != nil {
			env.Add(fmt.Errorf("environment variable INBOX_TTL_SECONDS is %q, a whole number is needed", ttl))
		}
		config.TTL = time.Duration(seconds) * time.Second
	}
	config.Outbox.Retention = env.OutboxRetention()
	if (config.Outbox.Table == "") != (config.Outbox.Source == "") {
		env.Add(errors.New("environment variables OUTBOX_TABLE and OUTBOX_SOURCE are needed together, one is not set"))
	}
	if err := env.Err(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	return New(db, queues, config)
}

// read is the item with that key. It reads consistently, so that what it says about the order of events
// holds.
func (s *Store) read(ctx context.Context, key string) (map[string]types.AttributeValue, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.config.Table,
		Key:            map[string]types.AttributeValue{record.AttrPK: text(key)},
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("read the inbox: %w", err)
	}
	return out.Item, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

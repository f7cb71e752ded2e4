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
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/internal/environment"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// DynamoDB is the part of DynamoDB's client that a Store uses. *dynamodb.Client fits.
type DynamoDB interface {
	outbox.Client
	outbox.ItemReader
	historyReader
}

// historyReader finds out when the events of an aggregate were written. Only InOrder uses it.
type historyReader interface {
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// SQS is the part of SQS's client that a Store uses. *sqs.Client fits.
type SQS interface {
	messageSender
	visibilityChanger
	attributeReader
}

// attributeReader finds out when the queue was created. Only InOrder uses it.
type attributeReader interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
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

// A Config is who consumes, and where that is remembered.
type Config struct {
	// Table is the name or ARN of the inbox table: its partition key is "pk", a string, and its TTL
	// attribute "expiresAt". Required.
	Table string
	// Consumer names the consumer in the inbox table: 1 to 128 of A-Z a-z 0-9 . _ - and /. A consumer that
	// is renamed no longer knows what it handled. Required.
	Consumer string
	// TTL is how long an event is remembered, 1 second or more: at least as long as it can come again, which is
	// the sum of 2 days on its way, 14 days in the pipe's dead-letter queue, 14 days in the rules' dead-letter
	// queue, the retention of the queue and of its dead-letter queue, that of the outbox table, and that of an
	// archive. The construct works it out. Required.
	TTL time.Duration
	// QueueURL is the queue that the messages come from. Required.
	QueueURL string
	// DeadLetterQueueURL is where messages go that failed for good (see Permanent). Required.
	DeadLetterQueueURL string
	// OriginTable is the name or ARN of the outbox table that the consumer's events come from. With InOrder
	// it says when an aggregate's events were written: whether a predecessor is on its way, or older than
	// the consumer. Default: not known, so that a consumer which meets an aggregate after its version 1
	// waits for GapTimeout before it begins.
	OriginTable string
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

// A Store remembers which events a consumer has handled. It is safe for concurrent use; make one when the
// function starts.
type Store struct {
	config Config
	db     DynamoDB
	queues SQS
	outbox *outbox.Outbox

	joining sync.Mutex
	joined  *join // nil until it was read or written
}

// New returns a Store. The error names everything that is missing or wrong in the configuration.
func New(db DynamoDB, queues SQS, config Config) (*Store, error) {
	var problems []error
	for _, field := range []struct{ name, value string }{
		{"Table", config.Table},
		{"QueueURL", config.QueueURL},
		{"DeadLetterQueueURL", config.DeadLetterQueueURL},
	} {
		if field.value == "" {
			problems = append(problems, fmt.Errorf("%s must not be empty", field.name))
		}
	}
	if !record.IsConsumerName(config.Consumer) {
		problems = append(problems, fmt.Errorf("Consumer must be "+record.ConsumerNames+", got %q", config.Consumer))
	}
	if config.TTL < time.Second {
		problems = append(problems, fmt.Errorf("TTL must be at least 1s, got %s", config.TTL))
	}
	if config.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("Concurrency must be at least 1, or 0 for %d, got %d", DefaultConcurrency, config.Concurrency))
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

// FromEnv returns a Store by what the construct gave to the function: INBOX_TABLE, INBOX_CONSUMER,
// INBOX_TTL_SECONDS, CONSUMER_QUEUE_URL and CONSUMER_DLQ_URL; for an ordered consumer INBOX_ORIGIN_TABLE; and
// where the consumer appends events, OUTBOX_TABLE, OUTBOX_SOURCE and OUTBOX_RETENTION_SECONDS, which
// outbox.FromEnv describes. The error names every variable that is missing or wrong.
func FromEnv(db DynamoDB, queues SQS) (*Store, error) {
	var env environment.Variables
	config := Config{
		Table:              env.Need("INBOX_TABLE"),
		Consumer:           env.Need("INBOX_CONSUMER"),
		QueueURL:           env.Need("CONSUMER_QUEUE_URL"),
		DeadLetterQueueURL: env.Need("CONSUMER_DLQ_URL"),
		OriginTable:        os.Getenv("INBOX_ORIGIN_TABLE"),
		Outbox:             outbox.Config{Table: os.Getenv("OUTBOX_TABLE"), Source: os.Getenv("OUTBOX_SOURCE")},
	}
	if ttl := env.Need("INBOX_TTL_SECONDS"); ttl != "" {
		seconds, err := strconv.ParseInt(ttl, 10, 32)
		if err != nil {
			env.Add(fmt.Errorf("environment variable INBOX_TTL_SECONDS must be a whole number of seconds, got %q", ttl))
		}
		config.TTL = time.Duration(seconds) * time.Second
	}
	config.Outbox.Retention = env.OutboxRetention()
	if (config.Outbox.Table == "") != (config.Outbox.Source == "") {
		env.Add(errors.New("environment variables OUTBOX_TABLE and OUTBOX_SOURCE must be set together, or neither"))
	}
	if err := env.Err(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	return New(db, queues, config)
}

// read returns the item with that key, nil when there is none. It reads consistently: a verdict about the
// order of events must be true now.
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

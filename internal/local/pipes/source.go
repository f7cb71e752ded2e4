package pipes

import (
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The limits and defaults of a pipe's source.
// Source: Pipes API reference, PipeSourceDynamoDBStreamParameters and PipeSourceSqsQueueParameters; EventBridge user
// guide, eb-pipes-dynamodb and eb-pipes-sqs for the default batch sizes, eb-pipes-batching-concurrency for the targets' caps.
const (
	defaultStreamBatch = 100
	defaultQueueBatch  = 10
	maxBatch           = 10_000
	targetCap          = 10 // event bus and SQS
	maxWindow          = 300
	maxParallel        = 10
	minAge, maxAge     = 60, 604800
	maxRetries         = 10000
)

// batchCap returns how many records a target takes at once. A function takes as many as fit into its payload.
func batchCap(targetARN string) int {
	if service(targetARN) == "lambda" {
		return maxBatch
	}
	return targetCap
}

type streamParameters struct {
	StartingPosition               string
	BatchSize                      *template.Int
	MaximumBatchingWindowInSeconds template.Int
	ParallelizationFactor          *template.Int
	MaximumRecordAgeInSeconds      *template.Int
	MaximumRetryAttempts           *template.Int
	OnPartialBatchItemFailure      string
	DeadLetterConfig               struct{ Arn string }
}

func isStream(arn string) bool {
	return strings.HasPrefix(arn, "arn:aws:dynamodb:") && strings.Contains(arn, "/stream/")
}

// readStream makes a stream the source of the pipe.
func (s *Service) readStream(pipe *Pipe, asRole *cloud.Cloud, v pipeVariables, p streamParameters, problems *problems) {
	pipe.Settings = p.settings(batchCap(v.targetARN), problems)
	pipe.Stream = streams.New(asRole.Streams(), v.sourceARN, s.config.Cloud.Region)
	pipe.Checkpoints = streams.NewCheckpoints(s.config.DB, "pipe "+v.pipeName, v.sourceARN)
	if queue := p.DeadLetterConfig.Arn; queue != "" {
		var err error
		pipe.DeadLetterARN = queue
		pipe.DeadLetter, err = deadLetter(asRole, queue, v)
		problems.add(err)
	}
}

// settings returns the settings of a pipe whose target takes so many records at once.
func (p streamParameters) settings(most int, problems *problems) Settings {
	set := Settings{
		Latest:     p.StartingPosition == "LATEST",
		BatchSize:  min(defaultStreamBatch, most),
		Window:     time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		Parallel:   1,
		MaxRetries: -1,
		Bisect:     p.OnPartialBatchItemFailure == "AUTOMATIC_BISECT",
	}
	problems.require(set.Latest || p.StartingPosition == "TRIM_HORIZON",
		"StartingPosition must be TRIM_HORIZON or LATEST, got %q", p.StartingPosition)
	problems.require(set.Bisect || p.OnPartialBatchItemFailure == "",
		"OnPartialBatchItemFailure must be AUTOMATIC_BISECT or empty, got %q", p.OnPartialBatchItemFailure)
	problems.requireRange("MaximumBatchingWindowInSeconds", int(p.MaximumBatchingWindowInSeconds), 0, maxWindow)
	if p.BatchSize != nil {
		set.BatchSize = int(*p.BatchSize)
		problems.requireRange("BatchSize", set.BatchSize, 1, most)
	}
	if p.ParallelizationFactor != nil {
		set.Parallel = int(*p.ParallelizationFactor)
		problems.requireRange("ParallelizationFactor", set.Parallel, 1, maxParallel)
	}
	if p.MaximumRetryAttempts != nil {
		set.MaxRetries = int(*p.MaximumRetryAttempts)
		problems.requireRange("MaximumRetryAttempts", set.MaxRetries, -1, maxRetries)
	}
	if p.MaximumRecordAgeInSeconds != nil && *p.MaximumRecordAgeInSeconds != -1 {
		set.MaxAge = time.Duration(*p.MaximumRecordAgeInSeconds) * time.Second
		problems.requireRange("MaximumRecordAgeInSeconds", int(*p.MaximumRecordAgeInSeconds), minAge, maxAge)
	}
	return set
}

func deadLetter(c *cloud.Cloud, queue string, f pipeVariables) (DeadLetter, error) {
	if service(queue) != "sqs" {
		return nil, fmt.Errorf("DeadLetterConfig.Arn must be the ARN of an SQS queue in the local run, got %q", queue)
	}
	return &deadLetterQueue{client: c.SQS(), url: c.QueueURL(queue), pipe: f.pipeARN, stream: f.sourceARN}, nil
}

// queueSourceParameters is SourceParameters.SqsQueueParameters.
type queueSourceParameters struct {
	BatchSize                      *template.Int
	MaximumBatchingWindowInSeconds template.Int
}

// readQueue makes a queue the source of the pipe. Its dead-letter queue is that of the queue's own redrive policy.
func (s *Service) readQueue(pipe *Pipe, asRole *cloud.Cloud, p properties, problems *problems) {
	var given queueSourceParameters
	if p.SourceParameters.SqsQueueParameters != nil {
		given = *p.SourceParameters.SqsQueueParameters
	}
	most := batchCap(p.Target)
	pipe.BatchSize, pipe.Window = min(defaultQueueBatch, most), time.Duration(given.MaximumBatchingWindowInSeconds)*time.Second
	if given.BatchSize != nil {
		pipe.BatchSize = int(*given.BatchSize)
		problems.requireRange("BatchSize", pipe.BatchSize, 1, most)
	}
	problems.requireRange("MaximumBatchingWindowInSeconds", int(given.MaximumBatchingWindowInSeconds), 0, maxWindow)
	pipe.Region = s.config.Cloud.Region
	pipe.Queue = messages.NewQueue(asRole.SQS(), asRole.QueueURL(p.Source))
}

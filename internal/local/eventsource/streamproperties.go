package eventsource

import (
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// streamProperties are the properties that apply only to streams.
type streamProperties struct {
	StartingPosition           string
	StartingPositionTimestamp  any
	ParallelizationFactor      *template.Int
	MaximumRetryAttempts       *template.Int
	MaximumRecordAgeInSeconds  *template.Int
	BisectBatchOnFunctionError *template.Bool
	DestinationConfig          struct{ OnFailure struct{ Destination string } }
	TumblingWindowInSeconds    template.Int
}

// The limits and defaults of a DynamoDB stream. Source: Lambda developer guide, services-ddb-params.
const (
	defaultStreamBatch = 100
	maxParallel        = 10
	maxRetries         = 10_000
	minAge, maxAge     = 60, 604_800 // seconds
	maxTumbling        = 900         // seconds
	unlimited          = -1
)

func (p properties) isStream() bool {
	parts := strings.SplitN(p.EventSourceArn, ":", 4)
	return len(parts) == 4 && parts[2] == "dynamodb" && strings.Contains(parts[3], "/stream/")
}

func (p properties) validateStream(refuse func(format string, args ...any)) {
	inRange := func(name string, value template.Int, least, most template.Int) {
		if value < least || value > most {
			refuse("%s must be a whole number from %d to %d, got %d", name, least, most, value)
		}
	}
	// AT_TIMESTAMP exists for Kinesis, DocumentDB and Kafka. Source: Lambda API reference, CreateEventSourceMapping.
	if p.StartingPosition != "TRIM_HORIZON" && p.StartingPosition != "LATEST" {
		refuse("StartingPosition of a DynamoDB stream must be TRIM_HORIZON or LATEST, got %q", p.StartingPosition)
	}
	if p.StartingPositionTimestamp != nil {
		refuse("StartingPositionTimestamp must be empty for a DynamoDB stream, got %v", p.StartingPositionTimestamp)
	}
	inRange("BatchSize", valueOr(p.BatchSize, defaultStreamBatch), 1, maxBatchSize)
	inRange("ParallelizationFactor", valueOr(p.ParallelizationFactor, 1), 1, maxParallel)
	inRange("MaximumRetryAttempts", valueOr(p.MaximumRetryAttempts, unlimited), unlimited, maxRetries)
	if age := valueOr(p.MaximumRecordAgeInSeconds, unlimited); age != unlimited && (age < minAge || age > maxAge) {
		refuse("MaximumRecordAgeInSeconds must be %d or a whole number from %d to %d, got %d", unlimited, minAge, maxAge, age)
	}
	inRange("TumblingWindowInSeconds", p.TumblingWindowInSeconds, 0, maxTumbling)
	// Source: terraform-aws-modules/terraform-aws-lambda, issue 619.
	if parallel := valueOr(p.ParallelizationFactor, 1); p.TumblingWindowInSeconds > 0 && parallel > 1 {
		refuse("ParallelizationFactor must be 1 with TumblingWindowInSeconds, because a shard has one state, got %d", parallel)
	}
	if p.ProvisionedPollerConfig != nil {
		refuse("ProvisionedPollerConfig must be empty, because the source is a stream")
	}
	if p.ScalingConfig.MaximumConcurrency != nil {
		refuse("ScalingConfig must be empty, because the source is a stream")
	}
	if d := p.DestinationConfig.OnFailure.Destination; d != "" && (!strings.HasPrefix(d, "arn:aws:sqs:") && !cloud.IsTopic(d) || strings.HasSuffix(d, ".fifo")) {
		refuse("DestinationConfig: OnFailure: Destination must be the ARN of a standard SQS queue or SNS topic in the local run, got %q", d)
	}
}

// describeStream sets what the description of a stream has beside that of a queue.
func (p properties) describeStream(d *Description) {
	d.BatchSize = int(valueOr(p.BatchSize, defaultStreamBatch))
	d.StartingPosition = p.StartingPosition
	d.ParallelizationFactor = int(valueOr(p.ParallelizationFactor, 1))
	d.MaximumRetryAttempts = int(valueOr(p.MaximumRetryAttempts, unlimited))
	d.MaximumRecordAge = time.Duration(valueOr(p.MaximumRecordAgeInSeconds, unlimited)) * time.Second
	d.BisectBatchOnFunctionError = p.BisectBatchOnFunctionError != nil && bool(*p.BisectBatchOnFunctionError)
	d.OnFailure = p.DestinationConfig.OnFailure.Destination
	d.TumblingWindow = time.Duration(p.TumblingWindowInSeconds) * time.Second
}

// streamOnly returns the names of the properties that are set and that AWS takes only for streams.
func (p properties) streamOnly() (set []string) {
	for name, given := range map[string]bool{
		"StartingPosition": p.StartingPosition != "", "StartingPositionTimestamp": p.StartingPositionTimestamp != nil,
		"ParallelizationFactor": p.ParallelizationFactor != nil, "MaximumRetryAttempts": p.MaximumRetryAttempts != nil,
		"MaximumRecordAgeInSeconds": p.MaximumRecordAgeInSeconds != nil, "BisectBatchOnFunctionError": p.BisectBatchOnFunctionError != nil,
		"TumblingWindowInSeconds": p.TumblingWindowInSeconds != 0,
		"DestinationConfig":       p.DestinationConfig.OnFailure.Destination != "",
	} {
		if given {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	return set
}

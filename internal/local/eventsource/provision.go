package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// properties are the properties of AWS::Lambda::EventSourceMapping that apply to SQS.
type properties struct {
	EventSourceArn                 string
	FunctionName                   string // name or ARN
	Enabled                        *template.Bool
	BatchSize                      *template.Int
	MaximumBatchingWindowInSeconds template.Int
	FunctionResponseTypes          []string
	ScalingConfig                  struct{ MaximumConcurrency *template.Int }
	FilterCriteria                 struct{ Filters []struct{ Pattern string } }

	KmsKeyArn     template.Ignored
	MetricsConfig template.Ignored
	Tags          template.Ignored
}

// Limits and defaults. Source: Lambda API reference, CreateEventSourceMapping; Lambda developer guide, services-sqs-scaling.
const (
	defaultBatchSize = 10
	// maxUnwindowedBatch is the largest batch without a batching window, and for FIFO queues.
	maxUnwindowedBatch = 10
	maxBatchSize       = 10_000
	maxWindow          = 300 // seconds
	minConcurrency     = 2
	maxConcurrency     = 1000
	// startConcurrency is the concurrency with which AWS begins when MaximumConcurrency is not set. AWS adds more under load; the local run does not.
	startConcurrency = 5
	maxFilters       = 5
)

// reportFailures is the response type with which a function names the messages that failed.
const reportFailures = "ReportBatchItemFailures"

// provision validates an event source mapping and stores it for [Service.Run].
func (s *Service) provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p properties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	filters, err := p.filters()
	if err := errors.Join(p.validate(), err); err != nil {
		return template.Attributes{}, err
	}
	if p.Enabled == nil || bool(*p.Enabled) {
		s.pollers = append(s.pollers, s.newPoller(r.LogicalID, p, filters))
	}
	return template.Attributes{
		Ref:    r.PhysicalName,
		GetAtt: map[string]string{"Id": r.PhysicalName, "EventSourceMappingArn": s.cfg.Cloud.ARN("lambda", "event-source-mapping:"+r.PhysicalName)},
	}, nil
}

func (s *Service) newPoller(logicalID string, p properties, filters []*pattern.Pattern) *poller {
	function := p.FunctionName
	if !strings.HasPrefix(function, "arn:") {
		function = s.cfg.Cloud.ARN("lambda", "function:"+function)
	}
	var queue Queue = &sqsQueue{client: s.cfg.Cloud.AssumeFunction(function).SQS(), url: s.cfg.Cloud.QueueURL(p.EventSourceArn)}
	if s.cfg.Wrap != nil {
		queue = s.cfg.Wrap(p.EventSourceArn, queue)
	}
	return &poller{
		logicalID:           logicalID,
		sourceARN:           p.EventSourceArn,
		region:              s.cfg.Cloud.Region,
		functionARN:         function,
		batchSize:           int(valueOr(p.BatchSize, defaultBatchSize)),
		window:              time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		concurrency:         int(valueOr(p.ScalingConfig.MaximumConcurrency, startConcurrency)),
		reportsItemFailures: len(p.FunctionResponseTypes) > 0,
		filters:             filters,
		queue:               queue,
		invoke:              s.cfg.Invoke,
		sink:                s.cfg.Sink,
	}
}

// validate returns an error that names everything that AWS would refuse or the local run does not support.
func (p properties) validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	batch, fifo := valueOr(p.BatchSize, defaultBatchSize), strings.HasSuffix(p.EventSourceArn, ".fifo")
	if parts := strings.Split(p.EventSourceArn, ":"); len(parts) != 6 || parts[2] != "sqs" {
		refuse("EventSourceArn must be the ARN of an SQS queue in the local run, got %q", p.EventSourceArn)
	}
	if p.FunctionName == "" {
		refuse("FunctionName must be set")
	}
	if batch < 1 || batch > maxBatchSize {
		refuse("BatchSize must be a whole number from 1 to %d, got %d", maxBatchSize, batch)
	}
	if batch > maxUnwindowedBatch && fifo {
		refuse("BatchSize of a FIFO queue must be a whole number from 1 to %d, got %d", maxUnwindowedBatch, batch)
	}
	if batch > maxUnwindowedBatch && p.MaximumBatchingWindowInSeconds < 1 {
		refuse("BatchSize must be at most %d without a MaximumBatchingWindowInSeconds of at least 1, got %d", maxUnwindowedBatch, batch)
	}
	if w := p.MaximumBatchingWindowInSeconds; w < 0 || w > maxWindow {
		refuse("MaximumBatchingWindowInSeconds must be a whole number from 0 to %d, got %d", maxWindow, w)
	}
	if p.MaximumBatchingWindowInSeconds > 0 && fifo {
		refuse("MaximumBatchingWindowInSeconds of a FIFO queue must be 0, got %d", p.MaximumBatchingWindowInSeconds)
	}
	if c := p.ScalingConfig.MaximumConcurrency; c != nil && (*c < minConcurrency || *c > maxConcurrency) {
		refuse("ScalingConfig: MaximumConcurrency must be a whole number from %d to %d, got %d", minConcurrency, maxConcurrency, *c)
	}
	for _, t := range p.FunctionResponseTypes {
		if t != reportFailures {
			refuse("FunctionResponseTypes must hold only %q, got %q", reportFailures, t)
		}
	}
	return errors.Join(problems...)
}

// filters compiles the filter patterns. For SQS they can match only the body.
// Source: Lambda developer guide, with-sqs-filtering.
func (p properties) filters() ([]*pattern.Pattern, error) {
	given := p.FilterCriteria.Filters
	if len(given) > maxFilters {
		return nil, fmt.Errorf("FilterCriteria must have at most %d filters, got %d", maxFilters, len(given))
	}
	var filters []*pattern.Pattern
	for i, f := range given {
		// Lambda's operators are those of pipes. (Lambda developer guide, invocation-eventfiltering)
		compiled, err := pattern.Compile([]byte(f.Pattern), pattern.Pipes)
		if err != nil {
			return nil, fmt.Errorf("FilterCriteria: filter %d: %w", i, err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal([]byte(f.Pattern), &keys); err != nil {
			return nil, fmt.Errorf("FilterCriteria: filter %d: %w", i, err)
		}
		for key := range keys {
			if key != "body" {
				return nil, fmt.Errorf("FilterCriteria: filter %d must match only \"body\" for an SQS queue, got %q", i, key)
			}
		}
		filters = append(filters, compiled)
	}
	return filters, nil
}

// valueOr returns the given value, or the default when there is none.
func valueOr(given *template.Int, def template.Int) template.Int {
	if given == nil {
		return def
	}
	return *given
}

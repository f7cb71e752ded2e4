package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/pattern"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// properties are the properties of AWS::Lambda::EventSourceMapping that have a meaning for SQS.
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
	// startConcurrency is what AWS begins with when no MaximumConcurrency is set. AWS adds more under load; the local run does not.
	startConcurrency = 5
	maxFilters       = 5
)

// reportFailures is the response type that lets a function name the messages that failed.
const reportFailures = "ReportBatchItemFailures"

// provision checks a mapping and keeps it for Run.
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
		s.mappings = append(s.mappings, s.mapping(r.LogicalID, p, filters))
	}
	return template.Attributes{
		Ref:    r.PhysicalName,
		GetAtt: map[string]string{"Id": r.PhysicalName, "EventSourceMappingArn": s.cfg.Cloud.ARN("lambda", "event-source-mapping:"+r.PhysicalName)},
	}, nil
}

func (s *Service) mapping(logicalID string, p properties, filters []*pattern.Pattern) *mapping {
	function := p.FunctionName
	if !strings.HasPrefix(function, "arn:") {
		function = s.cfg.Cloud.ARN("lambda", "function:"+function)
	}
	var queue Queue = &sqsQueue{client: s.cfg.Cloud.SQS(), url: s.cfg.Cloud.QueueURL(p.EventSourceArn)}
	if s.cfg.Wrap != nil {
		queue = s.cfg.Wrap(p.EventSourceArn, queue)
	}
	return &mapping{
		logicalID:   logicalID,
		sourceARN:   p.EventSourceArn,
		region:      s.cfg.Cloud.Region,
		functionARN: function,
		batchSize:   int(or(p.BatchSize, defaultBatchSize)),
		window:      time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		concurrency: int(or(p.ScalingConfig.MaximumConcurrency, startConcurrency)),
		partial:     len(p.FunctionResponseTypes) > 0,
		filters:     filters,
		queue:       queue,
		invoke:      s.cfg.Invoke,
		sink:        s.cfg.Sink,
	}
}

// validate reports all that AWS would refuse, and what the local run cannot do.
func (p properties) validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	batch, fifo := or(p.BatchSize, defaultBatchSize), strings.HasSuffix(p.EventSourceArn, ".fifo")
	if parts := strings.Split(p.EventSourceArn, ":"); len(parts) != 6 || parts[2] != "sqs" {
		refuse("EventSourceArn is %q, the local run supports SQS queues only", p.EventSourceArn)
	}
	if p.FunctionName == "" {
		refuse("FunctionName is missing")
	}
	if batch < 1 || batch > maxBatchSize {
		refuse("BatchSize is %d, allowed are 1 to %d", batch, maxBatchSize)
	}
	if batch > maxUnwindowedBatch && fifo {
		refuse("BatchSize is %d, a FIFO queue allows 1 to %d", batch, maxUnwindowedBatch)
	}
	if batch > maxUnwindowedBatch && p.MaximumBatchingWindowInSeconds < 1 {
		refuse("BatchSize is %d, more than %d need a MaximumBatchingWindowInSeconds of at least 1", batch, maxUnwindowedBatch)
	}
	if w := p.MaximumBatchingWindowInSeconds; w < 0 || w > maxWindow {
		refuse("MaximumBatchingWindowInSeconds is %d, allowed are 0 to %d", w, maxWindow)
	}
	if p.MaximumBatchingWindowInSeconds > 0 && fifo {
		refuse("MaximumBatchingWindowInSeconds is %d, a FIFO queue allows no batching window", p.MaximumBatchingWindowInSeconds)
	}
	if c := p.ScalingConfig.MaximumConcurrency; c != nil && (*c < minConcurrency || *c > maxConcurrency) {
		refuse("ScalingConfig: MaximumConcurrency is %d, allowed are %d to %d", *c, minConcurrency, maxConcurrency)
	}
	for _, t := range p.FunctionResponseTypes {
		if t != reportFailures {
			refuse("FunctionResponseTypes has %q, allowed is %q", t, reportFailures)
		}
	}
	return errors.Join(problems...)
}

// filters compiles the patterns. For SQS they can look at the body only.
// Source: Lambda developer guide, with-sqs-filtering.
func (p properties) filters() ([]*pattern.Pattern, error) {
	given := p.FilterCriteria.Filters
	if len(given) > maxFilters {
		return nil, fmt.Errorf("FilterCriteria has %d filters, at most %d are allowed", len(given), maxFilters)
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
				return nil, fmt.Errorf("FilterCriteria: filter %d looks at %q, an SQS mapping can filter on \"body\" only", i, key)
			}
		}
		filters = append(filters, compiled)
	}
	return filters, nil
}

// or is the value given, or the default.
func or(given *template.Int, def template.Int) template.Int {
	if given == nil {
		return def
	}
	return *given
}

package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// properties are the properties of AWS::Lambda::EventSourceMapping that apply to queues and streams.
type properties struct {
	EventSourceArn                 string
	FunctionName                   string // name or ARN
	Enabled                        *template.Bool
	BatchSize                      *template.Int
	MaximumBatchingWindowInSeconds template.Int
	FunctionResponseTypes          []string
	FilterCriteria                 struct{ Filters []struct{ Pattern string } }

	// Of queues.
	ScalingConfig           struct{ MaximumConcurrency *template.Int }
	ProvisionedPollerConfig template.Ignored // how fast a queue is read, not what the function gets

	streamProperties

	KmsKeyArn     template.Ignored // the filters stand in the template in plain text, and nothing is encrypted here
	LoggingConfig template.Ignored
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
	maxFilters         = 5
)

// reportFailures is the response type with which a function names the messages that failed.
const reportFailures = "ReportBatchItemFailures"

// provision validates an event source mapping and stores it for [Service.Run].
func (s *Service) provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p properties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	p.FunctionName = s.cfg.Cloud.FunctionARN(p.FunctionName)
	filters, err := p.filters()
	if err := errors.Join(p.validate(), err); err != nil {
		return template.Attributes{}, err
	}
	m := &mapping{properties: r.Properties, state: state{Enabled: p.Enabled == nil || bool(*p.Enabled), Modified: time.Now()}}
	m.description = p.describe(r.LogicalID, r.PhysicalName, s.cfg.Cloud.ARN("lambda", "event-source-mapping:"+r.PhysicalName))
	if p.isStream() {
		m.source = s.newStreamMapping(m.description, filters)
	} else {
		m.source = s.newPoller(m.description, filters)
	}
	if _, err := s.drift.Load(r.PhysicalName, r.Properties, &m.state); err != nil {
		return template.Attributes{}, err
	}
	if err := s.add(m); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{
		Ref:    r.PhysicalName,
		GetAtt: map[string]string{"Id": r.PhysicalName, "EventSourceMappingArn": m.description.ARN},
	}, nil
}

// add adds a mapping unless another one has the same source and function.
// Source: Lambda API reference, CreateEventSourceMapping, ResourceConflictException.
func (s *Service) add(m *mapping) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.mappings {
		if o, d := other.description, m.description; o.SourceARN == d.SourceARN && o.FunctionARN == d.FunctionARN {
			return fmt.Errorf("EventSourceArn and FunctionName must not be those of another mapping, got those of %s: %s and %s", o.LogicalID, d.SourceARN, d.FunctionARN)
		}
	}
	s.mappings = append(s.mappings, m)
	return nil
}

// describe returns the properties with AWS's defaults.
func (p properties) describe(logicalID, uuid, arn string) Description {
	d := Description{
		UUID: uuid, LogicalID: logicalID, ARN: arn, FunctionARN: p.FunctionName, SourceARN: p.EventSourceArn,
		BatchSize: int(valueOr(p.BatchSize, defaultBatchSize)), Window: time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
		ReportBatchItemFailures: len(p.FunctionResponseTypes) > 0,
		MaximumConcurrency:      int(valueOr(p.ScalingConfig.MaximumConcurrency, 0)),
	}
	for _, f := range p.FilterCriteria.Filters {
		d.Filters = append(d.Filters, f.Pattern)
	}
	if p.isStream() {
		p.describeStream(&d)
	}
	return d
}

func (s *Service) newPoller(d Description, filters []*pattern.Pattern) *poller {
	queue := messages.NewQueue(s.cfg.Cloud.AssumeFunction(d.FunctionARN).SQS(), s.cfg.Cloud.QueueURL(d.SourceARN))
	if s.cfg.Wrap != nil {
		queue = s.cfg.Wrap(d.SourceARN, queue)
	}
	concurrency := messages.DefaultConcurrency
	if d.MaximumConcurrency > 0 {
		concurrency = d.MaximumConcurrency
	}
	return &poller{
		Poller: messages.Poller{
			Queue: queue, SourceARN: d.SourceARN, Region: s.cfg.Cloud.Region,
			BatchSize: d.BatchSize, Window: d.Window, Concurrency: concurrency,
		},
		logicalID:           d.LogicalID,
		functionARN:         d.FunctionARN,
		reportsItemFailures: d.ReportBatchItemFailures,
		filters:             filters,
		invoke:              s.cfg.Invoke,
		received:            s.cfg.Received,
		alone:               s.cfg.Alone,
		sink:                s.cfg.Sink,
	}
}

// validate returns an error that names everything that AWS would refuse or the local run does not support.
func (p properties) validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if strings.HasSuffix(p.FunctionName, ":function:") {
		refuse("FunctionName must be set")
	}
	if w := p.MaximumBatchingWindowInSeconds; w < 0 || w > maxWindow {
		refuse("MaximumBatchingWindowInSeconds must be a whole number from 0 to %d, got %d", maxWindow, w)
	}
	for _, t := range p.FunctionResponseTypes {
		if t != reportFailures {
			refuse("FunctionResponseTypes must hold only %q, got %q", reportFailures, t)
		}
	}
	switch {
	case p.isStream():
		p.validateStream(refuse)
	case p.isQueue():
		p.validateQueue(refuse)
	default:
		refuse("EventSourceArn must be the ARN of an SQS queue or a DynamoDB stream in the local run, got %q", p.EventSourceArn)
	}
	return errors.Join(problems...)
}

func (p properties) isQueue() bool {
	parts := strings.Split(p.EventSourceArn, ":")
	return len(parts) == 6 && parts[2] == "sqs"
}

func (p properties) validateQueue(refuse func(format string, args ...any)) {
	batch, fifo := valueOr(p.BatchSize, defaultBatchSize), strings.HasSuffix(p.EventSourceArn, ".fifo")
	if batch < 1 || batch > maxBatchSize {
		refuse("BatchSize must be a whole number from 1 to %d, got %d", maxBatchSize, batch)
	}
	if batch > maxUnwindowedBatch && fifo {
		refuse("BatchSize of a FIFO queue must be a whole number from 1 to %d, got %d", maxUnwindowedBatch, batch)
	}
	if batch > maxUnwindowedBatch && p.MaximumBatchingWindowInSeconds < 1 {
		refuse("BatchSize must be at most %d without a MaximumBatchingWindowInSeconds of at least 1, got %d", maxUnwindowedBatch, batch)
	}
	if p.MaximumBatchingWindowInSeconds > 0 && fifo {
		refuse("MaximumBatchingWindowInSeconds of a FIFO queue must be 0, got %d", p.MaximumBatchingWindowInSeconds)
	}
	if c := p.ScalingConfig.MaximumConcurrency; c != nil && (*c < minConcurrency || *c > maxConcurrency) {
		refuse("ScalingConfig: MaximumConcurrency must be a whole number from %d to %d, got %d", minConcurrency, maxConcurrency, *c)
	}
	// Source: Lambda developer guide, services-sqs-scaling, "Provisioned mode".
	if p.ProvisionedPollerConfig != nil && p.ScalingConfig.MaximumConcurrency != nil {
		refuse("ScalingConfig: MaximumConcurrency must be empty with ProvisionedPollerConfig, got %d", *p.ScalingConfig.MaximumConcurrency)
	}
	if set := p.streamOnly(); len(set) > 0 {
		refuse("%s must be empty, because the source is a queue", strings.Join(set, ", "))
	}
}

// filters compiles the filter patterns. For SQS they can match only the body, for streams any part of the record.
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
			if key != "body" && !p.isStream() {
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

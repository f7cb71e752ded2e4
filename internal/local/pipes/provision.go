package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// The limits and defaults of a pipe with a DynamoDB stream.
// Source: Pipes API reference, PipeSourceDynamoDBStreamParameters and FilterCriteria; EventBridge user
// guide, eb-pipes-dynamodb for the default batch size, eb-pipes-batching-concurrency for the targets' caps.
const (
	defaultBatchSize = 100
	targetCap        = 10 // event bus and SQS
	maxWindow        = 300
	maxParallel      = 10
	minAge, maxAge   = 60, 604800
	maxRetries       = 10000
	maxFilters       = 5
)

// properties are the properties of AWS::Pipes::Pipe.
type properties struct {
	Name             string
	DesiredState     string
	Source           string
	SourceParameters struct {
		FilterCriteria struct {
			Filters []struct{ Pattern string }
		}
		DynamoDBStreamParameters *streamParameters
	}
	Enrichment       string
	RoleArn          string
	Target           string
	TargetParameters struct {
		InputTemplate                 string
		EventBridgeEventBusParameters busParameters
		SqsQueueParameters            queueParameters
	}

	Description          template.Ignored
	KmsKeyIdentifier     template.Ignored
	LogConfiguration     template.Ignored
	Tags                 template.Ignored
	EnrichmentParameters template.Ignored
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

// provision validates the pipe as AWS does when it is created, and stores it for [Service.Run].
func (s *Service) provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p properties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.Name == "" {
		p.Name = r.PhysicalName
	}
	arn := s.config.Cloud.ARN("pipes", "pipe/"+p.Name)
	pipe, err := s.build(r.LogicalID, arn, p)
	if err != nil {
		return template.Attributes{}, err
	}
	m, err := s.manage(r, arn, p, pipe)
	if err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	s.pipes = append(s.pipes, m)
	s.mu.Unlock()
	d := m.describe()
	return template.Attributes{Ref: p.Name, GetAtt: map[string]string{"Arn": arn, "CurrentState": string(d.CurrentState), "StateReason": d.StateReason}}, nil
}

// manage returns the pipe with the state that an earlier run left, or that of the template.
func (s *Service) manage(r template.Resource, arn string, p properties, pipe *Pipe) (*managed, error) {
	created, err := s.created(p.Name, p.Source)
	if err != nil {
		return nil, err
	}
	m := &managed{properties: r.Properties, pipe: pipe, state: state{Running: p.DesiredState != "STOPPED", Filters: p.patterns(), Modified: time.Now()}}
	m.description = Description{
		Name: p.Name, LogicalID: r.LogicalID, ARN: arn, Source: p.Source, Target: p.Target, RoleARN: p.RoleArn, Created: created,
	}
	m.description.SourceParameters, _ = r.Properties["SourceParameters"].(map[string]any)
	m.description.TargetParameters, _ = r.Properties["TargetParameters"].(map[string]any)
	var changed state
	found, err := s.drift.Load(p.Name, r.Properties, &changed)
	if err != nil || !found {
		return m, err
	}
	m.state = changed
	return m, m.apply()
}

// created returns when the pipe was made: by the first run on this data that has it with the same source. Another source makes
// it another pipe. Source: CloudFormation template reference, AWS::Pipes::Pipe, Source ("Update requires: Replacement").
func (s *Service) created(name, source string) (time.Time, error) {
	var at time.Time
	found, err := s.creations.Load(name, source, &at)
	if err != nil || found {
		return at, err
	}
	at = time.Now()
	return at, s.creations.Save(name, source, at)
}

// build returns the pipe, or an error that names everything that is wrong with the properties.
func (s *Service) build(logicalID, arn string, p properties) (*Pipe, error) {
	var problems problems
	problems.require(p.DesiredState == "" || p.DesiredState == "RUNNING" || p.DesiredState == "STOPPED",
		"DesiredState must be RUNNING or STOPPED, got %q", p.DesiredState)
	problems.require(p.Enrichment == "", "Enrichment must be empty, the local run does not support it, got %q", p.Enrichment)
	stream := p.SourceParameters.DynamoDBStreamParameters
	if !strings.HasPrefix(p.Source, "arn:aws:dynamodb:") || !strings.Contains(p.Source, "/stream/") || stream == nil {
		problems.require(false, "Source must be a DynamoDB stream with DynamoDBStreamParameters in the local run, got %q", p.Source)
		return nil, problems.joined()
	}
	asRole := s.config.Cloud.Assume(p.RoleArn, p.Name)
	variables := pipeVariables{pipeARN: arn, pipeName: p.Name, sourceARN: p.Source, targetARN: p.Target}
	pipe := &Pipe{
		Settings:    stream.settings(&problems),
		Stream:      streams.New(asRole.Streams(), p.Source, s.config.Cloud.Region),
		Checkpoints: streams.NewCheckpoints(s.config.DB, "pipe "+p.Name, p.Source),
		Sink:        s.config.Sink,
		Clock:       s.config.Clock,
	}
	pipe.Name, pipe.TargetARN = logicalID, p.Target
	var err error
	pipe.Filter, err = compileFilter(p.patterns())
	problems.add(err)
	pipe.Target, err = target(asRole, p, variables)
	problems.add(err)
	if queue := stream.DeadLetterConfig.Arn; queue != "" {
		pipe.DeadLetterARN = queue
		pipe.DeadLetter, err = deadLetter(asRole, queue, variables)
		problems.add(err)
	}
	if s.config.Wrap != nil {
		s.config.Wrap(pipe)
	}
	return pipe, problems.joined()
}

func (p *streamParameters) settings(problems *problems) Settings {
	set := Settings{
		Latest:     p.StartingPosition == "LATEST",
		BatchSize:  min(defaultBatchSize, targetCap),
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
		problems.requireRange("BatchSize", set.BatchSize, 1, targetCap)
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

// patterns returns the patterns of the filter.
func (p *properties) patterns() []string {
	var patterns []string
	for _, f := range p.SourceParameters.FilterCriteria.Filters {
		patterns = append(patterns, f.Pattern)
	}
	return patterns
}

// compileFilter returns a function that reports whether one of the patterns matches a record, or nil when there is no
// pattern.
func compileFilter(filters []string) (func(Record) bool, error) {
	var problems problems
	problems.require(len(filters) <= maxFilters, "FilterCriteria must have at most %d filters, got %d", maxFilters, len(filters))
	var patterns []*pattern.Pattern
	for _, f := range filters {
		compiled, err := pattern.Compile([]byte(f), pattern.Pipes)
		problems.add(err)
		patterns = append(patterns, compiled)
	}
	if len(filters) == 0 || problems != nil {
		return nil, problems.joined()
	}
	return func(r Record) bool {
		event, err := pattern.Decode([]byte(streams.Compact(r.Event)))
		if err != nil {
			return false // a record is always a JSON object
		}
		for _, p := range patterns {
			if p.Match(event) {
				return true
			}
		}
		return false
	}, nil
}

func target(c *cloud.Cloud, p properties, f pipeVariables) (Target, error) {
	var in *input
	if text := p.TargetParameters.InputTemplate; text != "" {
		var err error
		if in, err = compileInput(text); err != nil {
			return nil, err
		}
	}
	switch service(p.Target) {
	case "events":
		return newBusTarget(c.EventBridge(), p.TargetParameters.EventBridgeEventBusParameters, in, f)
	case "sqs":
		return newQueueTarget(c.SQS(), c.QueueURL(p.Target), p.TargetParameters.SqsQueueParameters, in, f)
	}
	return nil, fmt.Errorf("Target must be an event bus or an SQS queue in the local run, got %q", p.Target)
}

func deadLetter(c *cloud.Cloud, queue string, f pipeVariables) (DeadLetter, error) {
	if service(queue) != "sqs" {
		return nil, fmt.Errorf("DeadLetterConfig.Arn must be the ARN of an SQS queue in the local run, got %q", queue)
	}
	return &deadLetterQueue{client: c.SQS(), url: c.QueueURL(queue), pipe: f.pipeARN, stream: f.sourceARN}, nil
}

// service returns the service in an ARN: its third field.
func service(arn string) string {
	parts := strings.SplitN(arn, ":", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}

// problems collects everything that is wrong with a pipe.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) require(ok bool, format string, args ...any) {
	if !ok {
		p.add(fmt.Errorf(format, args...))
	}
}

func (p *problems) requireRange(name string, value, least, most int) {
	p.require(value >= least && value <= most, "%s must be a whole number from %d to %d, got %d", name, least, most, value)
}

func (p problems) joined() error { return errors.Join(p...) }

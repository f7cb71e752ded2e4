package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/pattern"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Limits and defaults of a pipe with a DynamoDB stream.
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

// properties is AWS::Pipes::Pipe.
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
	Target           string
	TargetParameters struct {
		InputTemplate                 string
		EventBridgeEventBusParameters busParameters
		SqsQueueParameters            queueParameters
	}

	Description          template.Ignored
	KmsKeyIdentifier     template.Ignored
	LogConfiguration     template.Ignored
	RoleArn              template.Ignored
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

// provision checks the pipe as AWS does when it is created, and keeps it for Run.
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
	state := "RUNNING"
	if p.DesiredState == "STOPPED" {
		state = "STOPPED"
	} else {
		s.pipes = append(s.pipes, pipe)
	}
	return template.Attributes{Ref: p.Name, GetAtt: map[string]string{"Arn": arn, "CurrentState": state, "StateReason": ""}}, nil
}

// build turns the properties into a pipe, or reports everything that is wrong with them.
func (s *Service) build(logicalID, arn string, p properties) (*Pipe, error) {
	var problems problems
	problems.need(p.DesiredState == "" || p.DesiredState == "RUNNING" || p.DesiredState == "STOPPED",
		"DesiredState is %q, allowed are RUNNING and STOPPED", p.DesiredState)
	problems.need(p.Enrichment == "", "Enrichment is not supported by the local run")
	stream := p.SourceParameters.DynamoDBStreamParameters
	if !strings.HasPrefix(p.Source, "arn:aws:dynamodb:") || !strings.Contains(p.Source, "/stream/") || stream == nil {
		problems.need(false, "Source is %q, the local run supports DynamoDB streams with DynamoDBStreamParameters", p.Source)
		return nil, problems.joined()
	}
	facts := facts{pipeARN: arn, pipeName: p.Name, sourceARN: p.Source, targetARN: p.Target}
	pipe := &Pipe{
		Settings:    stream.settings(&problems),
		Stream:      newDynamoDBStream(s.config.Cloud.Streams(), p.Source, s.config.Cloud.Region),
		Checkpoints: newBoltCheckpoints(s.config.DB, logicalID, p.Source),
		Sink:        s.config.Sink,
	}
	pipe.Name, pipe.TargetARN = logicalID, p.Target
	var err error
	pipe.Filter, err = p.filter()
	problems.add(err)
	pipe.Target, err = s.target(p, facts)
	problems.add(err)
	if queue := stream.DeadLetterConfig.Arn; queue != "" {
		pipe.DeadLetterARN = queue
		pipe.DeadLetter, err = s.deadLetter(queue, facts)
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
	problems.need(set.Latest || p.StartingPosition == "TRIM_HORIZON",
		"StartingPosition is %q, allowed are TRIM_HORIZON and LATEST", p.StartingPosition)
	problems.need(set.Bisect || p.OnPartialBatchItemFailure == "",
		"OnPartialBatchItemFailure is %q, allowed is AUTOMATIC_BISECT", p.OnPartialBatchItemFailure)
	problems.within("MaximumBatchingWindowInSeconds", int(p.MaximumBatchingWindowInSeconds), 0, maxWindow)
	if p.BatchSize != nil {
		set.BatchSize = int(*p.BatchSize)
		problems.within("BatchSize", set.BatchSize, 1, targetCap)
	}
	if p.ParallelizationFactor != nil {
		set.Parallel = int(*p.ParallelizationFactor)
		problems.within("ParallelizationFactor", set.Parallel, 1, maxParallel)
	}
	if p.MaximumRetryAttempts != nil {
		set.MaxRetries = int(*p.MaximumRetryAttempts)
		problems.within("MaximumRetryAttempts", set.MaxRetries, -1, maxRetries)
	}
	if p.MaximumRecordAgeInSeconds != nil && *p.MaximumRecordAgeInSeconds != -1 {
		set.MaxAge = time.Duration(*p.MaximumRecordAgeInSeconds) * time.Second
		problems.within("MaximumRecordAgeInSeconds", int(*p.MaximumRecordAgeInSeconds), minAge, maxAge)
	}
	return set
}

// filter lets a record through that one of the patterns matches.
func (p *properties) filter() (func(Record) bool, error) {
	filters := p.SourceParameters.FilterCriteria.Filters
	var problems problems
	problems.need(len(filters) <= maxFilters, "FilterCriteria has %d filters, at most %d are allowed", len(filters), maxFilters)
	var patterns []*pattern.Pattern
	for _, f := range filters {
		compiled, err := pattern.Compile([]byte(f.Pattern), pattern.Pipes)
		problems.add(err)
		patterns = append(patterns, compiled)
	}
	if len(filters) == 0 || problems != nil {
		return nil, problems.joined()
	}
	return func(r Record) bool {
		event, err := pattern.Decode([]byte(compact(r.Event)))
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

func (s *Service) target(p properties, f facts) (Target, error) {
	var in *input
	if text := p.TargetParameters.InputTemplate; text != "" {
		var err error
		if in, err = compileInput(text); err != nil {
			return nil, err
		}
	}
	switch service(p.Target) {
	case "events":
		return newBusTarget(s.config.Cloud.EventBridge(), p.TargetParameters.EventBridgeEventBusParameters, in, f)
	case "sqs":
		return newQueueTarget(s.config.Cloud.SQS(), s.config.Cloud.QueueURL(p.Target), p.TargetParameters.SqsQueueParameters, in, f)
	}
	return nil, fmt.Errorf("Target is %q, the local run supports event buses and SQS queues", p.Target)
}

func (s *Service) deadLetter(queue string, f facts) (DeadLetter, error) {
	if service(queue) != "sqs" {
		return nil, fmt.Errorf("DeadLetterConfig.Arn is %q, the local run supports SQS queues", queue)
	}
	return &deadLetterQueue{client: s.config.Cloud.SQS(), url: s.config.Cloud.QueueURL(queue), pipe: f.pipeARN, stream: f.sourceARN}, nil
}

// service is the third part of an ARN.
func service(arn string) string {
	parts := strings.SplitN(arn, ":", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}

// problems collects what is wrong with a pipe.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

func (p *problems) need(ok bool, format string, args ...any) {
	if !ok {
		p.add(fmt.Errorf(format, args...))
	}
}

func (p *problems) within(name string, value, least, most int) {
	p.need(value >= least && value <= most, "%s is %d, allowed are %d to %d", name, value, least, most)
}

func (p problems) joined() error { return errors.Join(p...) }

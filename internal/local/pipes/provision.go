package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
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
		SqsQueueParameters       *queueSourceParameters
	}
	Enrichment           string
	EnrichmentParameters struct{ InputTemplate string }
	RoleArn              string
	Target               string
	TargetParameters     struct {
		InputTemplate                 string
		EventBridgeEventBusParameters busParameters
		SqsQueueParameters            queueParameters
		LambdaFunctionParameters      functionParameters
	}

	Description      template.Ignored
	KmsKeyIdentifier template.Ignored
	LogConfiguration template.Ignored
	Tags             template.Ignored
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
		Name: p.Name, LogicalID: r.LogicalID, ARN: arn, Source: p.Source, Enrichment: p.Enrichment, Target: p.Target, RoleARN: p.RoleArn, Created: created,
	}
	m.description.EnrichmentParameters, _ = r.Properties["EnrichmentParameters"].(map[string]any)
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
	asRole := s.config.Cloud.Assume(p.RoleArn, p.Name)
	variables := pipeVariables{pipeARN: arn, pipeName: p.Name, sourceARN: p.Source, enrichmentARN: p.Enrichment, targetARN: p.Target}
	pipe := &Pipe{Sink: s.config.Sink, Clock: s.config.Clock}
	switch stream, queue := p.SourceParameters.DynamoDBStreamParameters, p.SourceParameters.SqsQueueParameters; {
	case isStream(p.Source) && stream != nil && queue == nil:
		s.readStream(pipe, asRole, variables, *stream, &problems)
	case service(p.Source) == "sqs" && stream == nil:
		s.readQueue(pipe, asRole, p, &problems)
	default:
		problems.require(false, "Source must be a DynamoDB stream with DynamoDBStreamParameters or an SQS queue in the local run, got %q", p.Source)
	}
	pipe.Name, pipe.SourceARN, pipe.TargetARN = logicalID, p.Source, p.Target
	var err error
	pipe.Filter, err = compileFilter(p.Source, p.patterns())
	problems.add(err)
	pipe.Target, err = newTarget(asRole, p, variables)
	problems.add(err)
	if p.Enrichment != "" {
		pipe.Target, err = newEnrichment(asRole, p, variables, pipe)
		problems.add(err)
	}
	if s.config.Wrap != nil && problems == nil {
		s.config.Wrap(pipe)
	}
	return pipe, problems.joined()
}

// newTarget returns the pipe's target.
func newTarget(asRole *cloud.Cloud, p properties, variables pipeVariables) (Target, error) {
	in, err := compileInput(p.TargetParameters.InputTemplate, variables)
	if err != nil {
		return nil, err
	}
	switch service(p.Target) {
	case "events":
		return newBusTarget(asRole.EventBridge(), p.TargetParameters.EventBridgeEventBusParameters, in)
	case "sqs":
		return newQueueTarget(asRole.SQS(), asRole.QueueURL(p.Target), p.TargetParameters.SqsQueueParameters, in)
	case "lambda":
		return newFunctionTarget(asRole.Lambda(), p.TargetParameters.LambdaFunctionParameters, in)
	}
	return nil, fmt.Errorf("Target must be an event bus, an SQS queue or a function in the local run, got %q", p.Target)
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

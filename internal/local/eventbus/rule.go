package eventbus

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

// Limits and defaults. Source: EventBridge API reference, RetryPolicy and PutTargets.
const (
	maxTargets     = 5
	defaultRetries = 185 // also the maximum
	minAge         = 60
	defaultAge     = 86_400 // seconds; also the maximum
)

// A rule sends the events that match its pattern to its targets.
type rule struct {
	logicalID string
	name      string
	arn       string
	source    json.RawMessage // of the pattern
	pattern   *pattern.Pattern
	enabled   bool
	targets   []target
}

// A target is one target of a rule.
type target struct {
	id         string
	arn        string // of a queue
	logicalID  string // of the rule
	ruleARN    string
	input      input
	group      string // message group id, for FIFO queues
	retries    int
	maxAge     time.Duration
	deadLetter string // ARN of a queue, or empty
}

// ruleProperties are the properties of AWS::Events::Rule.
type ruleProperties struct {
	Name               string
	EventBusName       string // name or ARN
	EventPattern       json.RawMessage
	ScheduleExpression string
	State              string
	Targets            []targetProperties

	Description template.Ignored
	RoleArn     template.Ignored // for targets that the local run does not have
	Tags        template.Ignored
}

// targetProperties are those that have a meaning for SQS queues.
type targetProperties struct {
	Id               string
	Arn              string
	Input            *string
	InputPath        *string
	SqsParameters    struct{ MessageGroupId string }
	DeadLetterConfig struct{ Arn string }
	RetryPolicy      struct{ MaximumRetryAttempts, MaximumEventAgeInSeconds *template.Int }
}

func (s *Service) provisionRule(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p ruleProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	b, err := s.findBus(p.EventBusName)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("EventBusName: %w", err)
	}
	made, err := s.newRule(r, p, b)
	if err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	b.rules = append(b.rules, made)
	s.mu.Unlock()
	ref := made.name
	if b.name != defaultBus {
		ref = b.name + "|" + made.name
	}
	return template.Attributes{Ref: ref, GetAtt: map[string]string{"Arn": made.arn}}, nil
}

// newRule returns the rule, or an error that names everything that is wrong with it.
func (s *Service) newRule(r template.Resource, p ruleProperties, b *bus) (*rule, error) {
	made := &rule{logicalID: r.LogicalID, name: p.Name, source: p.EventPattern, enabled: p.State != "DISABLED"}
	if made.name == "" {
		made.name = r.PhysicalName
	}
	path := made.name
	if b.name != defaultBus {
		path = b.name + "/" + made.name
	}
	made.arn = s.cloud.ARN("events", "rule/"+path)
	var problems []error
	switch {
	case p.ScheduleExpression != "":
		problems = append(problems, fmt.Errorf("ScheduleExpression must be empty, the local run supports only rules with an EventPattern, got %q", p.ScheduleExpression))
	case len(p.EventPattern) == 0:
		problems = append(problems, errors.New("EventPattern is missing"))
	default:
		compiled, err := pattern.Compile(p.EventPattern, pattern.Rules)
		if err != nil {
			problems = append(problems, fmt.Errorf("EventPattern: %w", err))
		}
		made.pattern = compiled
	}
	if len(p.Targets) > maxTargets {
		problems = append(problems, fmt.Errorf("Targets must have at most %d entries, got %d", maxTargets, len(p.Targets)))
	}
	for _, properties := range p.Targets {
		t, err := newTarget(properties)
		if err != nil {
			problems = append(problems, fmt.Errorf("target %q: %w", properties.Id, err))
		}
		t.logicalID, t.ruleARN = made.logicalID, made.arn
		made.targets = append(made.targets, t)
	}
	return made, errors.Join(problems...)
}

func newTarget(p targetProperties) (target, error) {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	t := target{
		id: p.Id, arn: p.Arn, group: p.SqsParameters.MessageGroupId, deadLetter: p.DeadLetterConfig.Arn,
		retries: defaultRetries, maxAge: defaultAge * time.Second,
	}
	switch fifo := strings.HasSuffix(p.Arn, ".fifo"); {
	case !isQueue(p.Arn):
		refuse("Arn must be the ARN of an SQS queue in the local run, got %q", p.Arn)
	case fifo && t.group == "":
		refuse("SqsParameters.MessageGroupId must be set, because the target is the FIFO queue %q", p.Arn)
	case !fifo && t.group != "":
		refuse("SqsParameters.MessageGroupId must be empty, because the target is not a FIFO queue, got %q", t.group)
	}
	if t.deadLetter != "" && (!isQueue(t.deadLetter) || strings.HasSuffix(t.deadLetter, ".fifo")) {
		refuse("DeadLetterConfig: Arn must be the ARN of a standard SQS queue, got %q", t.deadLetter)
	}
	if n := p.RetryPolicy.MaximumRetryAttempts; n != nil {
		if t.retries = int(*n); *n < 0 || *n > defaultRetries {
			refuse("RetryPolicy: MaximumRetryAttempts must be a whole number from 0 to %d, got %d", defaultRetries, *n)
		}
	}
	if n := p.RetryPolicy.MaximumEventAgeInSeconds; n != nil {
		if t.maxAge = time.Duration(*n) * time.Second; *n < minAge || *n > defaultAge {
			refuse("RetryPolicy: MaximumEventAgeInSeconds must be a whole number from %d to %d, got %d", minAge, defaultAge, *n)
		}
	}
	var err error
	t.input, err = newInput(p.Input, p.InputPath)
	return t, errors.Join(append(problems, err)...)
}

func isQueue(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) == 6 && parts[2] == "sqs"
}

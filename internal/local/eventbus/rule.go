package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/schedule"
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

// A rule sends the events that match its pattern, and those of its schedule, to its targets.
type rule struct {
	logicalID  string // or the name, of a rule that the template does not have
	name       string
	arn        string
	bus        *bus
	properties ruleProperties
	template   map[string]any    // its properties in the template; nil: it has none
	pattern    *pattern.Pattern  // nil: no event matches
	schedule   schedule.Schedule // nil: none
	next       time.Time         // when the schedule is due; zero: not computed yet
	targets    []target
}

func (r *rule) isEnabled() bool { return r.properties.State != stateDisabled }

// The states of a rule. Source: EventBridge API reference, PutRule.
const (
	stateEnabled  = "ENABLED"
	stateDisabled = "DISABLED"
)

// A target is one target of a rule.
type target struct {
	id         string
	arn        string // of a queue or a function
	logicalID  string // of the rule
	ruleARN    string
	input      input
	group      string // message group id, for FIFO queues
	retries    int    // of a function: of its asynchronous invocations, since handing them over to Lambda always works here
	maxAge     time.Duration
	deadLetter string // ARN of a queue, or empty
	function   bool   // else a queue
	settings   async.Settings
}

// ruleProperties are the properties of AWS::Events::Rule.
type ruleProperties struct {
	Name               string
	EventBusName       string          // name or ARN
	EventPattern       json.RawMessage `json:",omitempty"`
	ScheduleExpression string
	State              string
	Targets            []targetProperties
	Description        string

	RoleArn template.Ignored // for targets that the local run does not have
	Tags    template.Ignored
}

// targetProperties are those that have a meaning for SQS queues and functions.
type targetProperties struct {
	Id               string
	Arn              string
	Input            *string           `json:",omitempty"`
	InputPath        *string           `json:",omitempty"`
	SqsParameters    *sqsParameters    `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig `json:",omitempty"`
	RetryPolicy      *retryPolicy      `json:",omitempty"`
}

type sqsParameters struct{ MessageGroupId string }

type deadLetterConfig struct{ Arn string }

type retryPolicy struct {
	MaximumRetryAttempts     *template.Int `json:",omitempty"`
	MaximumEventAgeInSeconds *template.Int `json:",omitempty"`
}

func (s *Service) provisionRule(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p ruleProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.Name == "" {
		p.Name = r.PhysicalName
	}
	b, err := s.findBus(p.EventBusName)
	if err != nil {
		name := p.EventBusName[strings.LastIndex(p.EventBusName, "/")+1:]
		return template.Attributes{}, fmt.Errorf("EventBusName: %w: %s", err, cloud.Advice("event bus", "bus", name))
	}
	made, err := s.newRule(r.LogicalID, p, b)
	if err != nil {
		return template.Attributes{}, err
	}
	made.template = r.Properties
	if err := s.restore(made); err != nil {
		return template.Attributes{}, err
	}
	ref := made.name
	if b.name != defaultBus {
		ref = b.name + "|" + made.name
	}
	return template.Attributes{Ref: ref, GetAtt: map[string]string{"Arn": made.arn}}, nil
}

// newRule returns the rule, or an error that names everything that is wrong with it.
func (s *Service) newRule(logicalID string, p ruleProperties, b *bus) (*rule, error) {
	made := &rule{logicalID: logicalID, name: p.Name, bus: b, properties: p}
	path := made.name
	if b.name != defaultBus {
		path = b.name + "/" + made.name
	}
	made.arn = s.cloud.ARN("events", "rule/"+path)
	problems := made.compile(p)
	if len(p.Targets) > maxTargets {
		problems = append(problems, fmt.Errorf("Targets must have at most %d entries, got %d", maxTargets, len(p.Targets)))
	}
	ids := map[string]bool{}
	for _, properties := range p.Targets {
		t, err := newTarget(properties)
		if ids[t.id] {
			err = errors.Join(err, errors.New("Id must be unique in the rule"))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("target %q: %w", properties.Id, err))
		}
		ids[t.id] = true
		t.logicalID, t.ruleARN = made.logicalID, made.arn
		made.targets = append(made.targets, t)
	}
	return made, errors.Join(problems...)
}

// compile sets the rule's pattern and schedule; a rule may have both.
// Source: EventBridge API reference, PutRule.
func (r *rule) compile(p ruleProperties) (problems []error) {
	var err error
	if p.State != "" && p.State != stateEnabled && p.State != stateDisabled {
		problems = append(problems, fmt.Errorf("State must be %s or %s in the local run, got %q", stateEnabled, stateDisabled, p.State))
	}
	if len(p.EventPattern) == 0 && p.ScheduleExpression == "" {
		problems = append(problems, errors.New("EventPattern or ScheduleExpression must be set"))
	}
	if len(p.EventPattern) > 0 {
		if r.pattern, err = pattern.Compile(p.EventPattern, pattern.Rules); err != nil {
			problems = append(problems, fmt.Errorf("EventPattern: %w", err))
		}
	}
	if p.ScheduleExpression == "" {
		return problems
	}
	if r.bus.name != defaultBus {
		problems = append(problems, fmt.Errorf("ScheduleExpression must be empty, because schedules exist only on the default event bus, got %q on %s", p.ScheduleExpression, r.bus.name))
	}
	if r.schedule, err = schedule.Parse(p.ScheduleExpression); err != nil {
		problems = append(problems, fmt.Errorf("ScheduleExpression: %w", err))
	}
	return problems
}

// targetID is the syntax of a target's id. Source: EventBridge API reference, Target.
var targetID = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

func newTarget(p targetProperties) (target, error) {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	t := target{id: p.Id, arn: p.Arn, retries: defaultRetries, maxAge: defaultAge * time.Second, function: isFunction(p.Arn)}
	if p.SqsParameters != nil {
		t.group = p.SqsParameters.MessageGroupId
	}
	if p.DeadLetterConfig != nil {
		t.deadLetter = p.DeadLetterConfig.Arn
	}
	if !targetID.MatchString(p.Id) {
		refuse("Id must be 1 to 64 letters, digits, dots, dashes and underscores")
	}
	switch fifo := strings.HasSuffix(p.Arn, ".fifo"); {
	case !isQueue(p.Arn) && !t.function:
		refuse("Arn must be the ARN of an SQS queue or a function in the local run, got %q", p.Arn)
	case fifo && t.group == "":
		refuse("SqsParameters.MessageGroupId must be set, because the target is the FIFO queue %q", p.Arn)
	case !fifo && t.group != "":
		refuse("SqsParameters.MessageGroupId must be empty, because the target is not a FIFO queue, got %q", t.group)
	}
	if t.deadLetter != "" && (!isQueue(t.deadLetter) || strings.HasSuffix(t.deadLetter, ".fifo")) {
		refuse("DeadLetterConfig: Arn must be the ARN of a standard SQS queue, got %q", t.deadLetter)
	}
	if p.RetryPolicy != nil {
		p.RetryPolicy.set(&t, refuse)
	}
	var err error
	t.input, err = newInput(p.Input, p.InputPath)
	return t, errors.Join(append(problems, err)...)
}

func (p retryPolicy) set(t *target, refuse func(format string, args ...any)) {
	if n := p.MaximumRetryAttempts; n != nil {
		if t.retries = int(*n); *n < 0 || *n > defaultRetries {
			refuse("RetryPolicy: MaximumRetryAttempts must be a whole number from 0 to %d, got %d", defaultRetries, *n)
		}
	}
	if n := p.MaximumEventAgeInSeconds; n != nil {
		if t.maxAge = time.Duration(*n) * time.Second; *n < minAge || *n > defaultAge {
			refuse("RetryPolicy: MaximumEventAgeInSeconds must be a whole number from %d to %d, got %d", minAge, defaultAge, *n)
		}
	}
}

func isQueue(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) == 6 && parts[2] == "sqs"
}

func isFunction(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) >= 7 && parts[2] == "lambda" && parts[5] == "function"
}

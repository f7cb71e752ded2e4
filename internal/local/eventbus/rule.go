package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/schedule"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// maxTargets limits the targets of a rule. Source: EventBridge API reference, PutTargets.
const maxTargets = 5

// A rule sends the events that match its pattern, and those of its schedule, to its targets.
type rule struct {
	logicalID  string // or the name, of a rule that the template does not have
	name       string
	arn        string
	bus        *bus
	properties ruleProperties
	template   map[string]any   // its properties in the template; nil: it has none
	pattern    *pattern.Pattern // nil: no event matches
	cadence                     // of its schedule
	targets    []target
}

func (r *rule) isEnabled() bool { return r.properties.State != stateDisabled }

// The states of a rule. Source: EventBridge API reference, PutRule.
const (
	stateEnabled  = "ENABLED"
	stateDisabled = "DISABLED"
)

// ruleProperties are the properties of AWS::Events::Rule.
type ruleProperties struct {
	Name               string
	EventBusName       string          // name or ARN
	EventPattern       json.RawMessage `json:",omitempty"`
	ScheduleExpression string
	State              string
	Targets            []targetProperties
	Description        string

	RoleArn template.Ignored // what counts is the role of a target
	Tags    template.Ignored
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
		return template.Attributes{}, fmt.Errorf("EventBusName: %w", adviseBus(err, p.EventBusName))
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
		t, err := newTarget(properties, s.cloud)
		if ids[t.id] {
			err = errors.Join(err, errors.New("Id must be unique in the rule"))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("target %q: %w", properties.Id, err))
		}
		ids[t.id] = true
		t.logicalID, t.ruleARN, t.trusted, t.service = made.logicalID, made.arn, made.arn, principal
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

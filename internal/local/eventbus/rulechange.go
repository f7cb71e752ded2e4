package eventbus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// A ruleChange is what calls of the API made of a rule of the template.
type ruleChange struct {
	Deleted    bool
	Properties ruleProperties
}

func (r *rule) key() string { return r.bus.name + "/" + r.name }

// restore adds a rule of the template, with what an earlier run changed on it.
func (s *Service) restore(r *rule) error {
	var changed ruleChange
	found, err := s.drift.Load(r.key(), r.template, &changed)
	if err != nil {
		return err
	}
	if found && changed.Deleted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.deleted[r.key()] = r
		return nil
	}
	if found {
		template := r.template
		if r, err = s.newRule(r.logicalID, changed.Properties, r.bus); err != nil {
			return err
		}
		r.template = template
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.bus.rules = append(r.bus.rules, r)
	return nil
}

// A ruleName names a rule in a request.
type ruleName struct{ Name, EventBusName string }

// findRule returns the bus and the rule, which may be nil.
func (s *Service) findRule(busName, name string) (*bus, *rule, error) {
	b, err := s.findBus(busName)
	if err != nil {
		return nil, nil, notFound(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := slices.IndexFunc(b.rules, func(r *rule) bool { return r.name == name })
	if i < 0 {
		return b, nil, nil
	}
	return b, b.rules[i], nil
}

// existingRule returns the rule, or the error that AWS has for one that does not exist.
func (s *Service) existingRule(busName, name string) (*rule, error) {
	b, r, err := s.findRule(busName, name)
	if err == nil && r == nil {
		err = notFound(fmt.Errorf("Rule %s does not exist on EventBus %s.", name, b.name))
	}
	return r, err
}

// changeRule replaces a rule by one with other properties, now and for later runs.
func (s *Service) changeRule(busName, name string, edit func(*ruleProperties)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	old, err := s.existingRule(busName, name)
	if err != nil {
		return err
	}
	p := old.properties
	p.Targets = slices.Clone(p.Targets)
	edit(&p)
	return s.replaceRule(old.bus, old, old, p)
}

// replaceRule puts a rule with the properties in the place of an old one, which is nil for a new rule. before is the
// rule whose place in the template it takes, or nil.
func (s *Service) replaceRule(b *bus, old, before *rule, p ruleProperties) error {
	logicalID := p.Name
	if before != nil {
		logicalID = before.logicalID
	}
	made, err := s.newRule(logicalID, p, b)
	if err != nil {
		return invalid("%v", err)
	}
	if before != nil && before.template != nil {
		made.template = before.template
		if err := s.drift.Save(made.key(), made.template, ruleChange{Properties: p}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deleted, made.key())
	if old == nil {
		b.rules = append(b.rules, made)
	} else {
		if old.isEnabled() && old.properties.ScheduleExpression == p.ScheduleExpression {
			made.next = old.next
		}
		b.rules = slices.Clone(b.rules) // a reader may hold the old list
		b.rules[slices.Index(b.rules, old)] = made
	}
	s.notifyScheduler()
	return nil
}

type empty struct{}

func (s *Service) enableRule(request ruleName) (empty, error) {
	return empty{}, s.changeRule(request.EventBusName, request.Name, func(p *ruleProperties) { p.State = stateEnabled })
}

func (s *Service) disableRule(request ruleName) (empty, error) {
	return empty{}, s.changeRule(request.EventBusName, request.Name, func(p *ruleProperties) { p.State = stateDisabled })
}

// deleteRule deletes a rule that has no targets. A rule of the template stays deleted in later runs.
// Source: EventBridge API reference, DeleteRule.
func (s *Service) deleteRule(request ruleName) (empty, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	_, r, err := s.findRule(request.EventBusName, request.Name)
	if err != nil || r == nil {
		return empty{}, err // deleting what is not there works
	}
	if len(r.targets) > 0 {
		return empty{}, invalid("Rule can't be deleted since it has targets.")
	}
	if r.template != nil {
		if err := s.drift.Save(r.key(), r.template, ruleChange{Deleted: true}); err != nil {
			return empty{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.template != nil {
		s.deleted[r.key()] = r
	}
	r.bus.rules = slices.DeleteFunc(slices.Clone(r.bus.rules), func(other *rule) bool { return other == r })
	s.notifyScheduler()
	return empty{}, nil
}

type putRuleRequest struct {
	Name, EventBusName, EventPattern, ScheduleExpression, State, Description string
}

type putRuleResponse struct{ RuleArn string }

// putRule creates a rule, or changes one and keeps its targets. A rule that the template does not have exists until the
// end of the run.
func (s *Service) putRule(request putRuleRequest) (putRuleResponse, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	b, old, err := s.findRule(request.EventBusName, request.Name)
	if err != nil {
		return putRuleResponse{}, err
	}
	if request.Name == "" {
		return putRuleResponse{}, invalid("Name must be set.")
	}
	p := ruleProperties{
		Name: request.Name, EventBusName: request.EventBusName, ScheduleExpression: request.ScheduleExpression,
		State: request.State, Description: request.Description,
	}
	if request.EventPattern != "" {
		if p.EventPattern = json.RawMessage(request.EventPattern); !json.Valid(p.EventPattern) {
			return putRuleResponse{}, &apiError{http.StatusBadRequest, "InvalidEventPatternException", "Event pattern is not valid. Reason: it is not JSON."}
		}
	}
	before := old
	if old != nil {
		p.Targets = old.properties.Targets
	} else {
		s.mu.RLock()
		before = s.deleted[b.name+"/"+p.Name]
		s.mu.RUnlock()
	}
	if err := s.replaceRule(b, old, before, p); err != nil {
		return putRuleResponse{}, err
	}
	r, err := s.existingRule(request.EventBusName, request.Name)
	if err != nil {
		return putRuleResponse{}, err
	}
	return putRuleResponse{r.arn}, nil
}

type putTargetsRequest struct {
	Rule, EventBusName string
	Targets            []targetProperties
}

type targetsResponse struct {
	FailedEntryCount int
	FailedEntries    []struct{}
}

// putTargets adds targets to a rule, or replaces those with the same ids.
func (s *Service) putTargets(request putTargetsRequest) (targetsResponse, error) {
	return targetsResponse{FailedEntries: []struct{}{}}, s.changeRule(request.EventBusName, request.Rule, func(p *ruleProperties) {
		for _, t := range request.Targets {
			if i := slices.IndexFunc(p.Targets, func(other targetProperties) bool { return other.Id == t.Id }); i >= 0 {
				p.Targets[i] = t
			} else {
				p.Targets = append(p.Targets, t)
			}
		}
	})
}

type removeTargetsRequest struct {
	Rule, EventBusName string
	Ids                []string
}

func (s *Service) removeTargets(request removeTargetsRequest) (targetsResponse, error) {
	return targetsResponse{FailedEntries: []struct{}{}}, s.changeRule(request.EventBusName, request.Rule, func(p *ruleProperties) {
		p.Targets = slices.DeleteFunc(p.Targets, func(t targetProperties) bool { return slices.Contains(request.Ids, t.Id) })
	})
}

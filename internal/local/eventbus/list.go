package eventbus

import (
	"net/http"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// The following operations read buses and rules. They do not page.

type busDescription struct {
	Name, Arn string
	Policy    string `json:",omitempty"`
}

type listEventBusesRequest struct{ NamePrefix string }

type listEventBusesResponse struct{ EventBuses []busDescription }

func (s *Service) listEventBuses(request listEventBusesRequest) (listEventBusesResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	response := listEventBusesResponse{EventBuses: []busDescription{}}
	for _, b := range s.buses {
		if strings.HasPrefix(b.name, request.NamePrefix) {
			response.EventBuses = append(response.EventBuses, busDescription{Name: b.name, Arn: b.arn})
		}
	}
	slices.SortFunc(response.EventBuses, func(a, b busDescription) int { return strings.Compare(a.Name, b.Name) })
	return response, nil
}

type describeEventBusRequest struct{ Name string }

func (s *Service) describeEventBus(request describeEventBusRequest) (busDescription, error) {
	b, err := s.findBus(request.Name)
	if err != nil {
		return busDescription{}, notFound(err)
	}
	return busDescription{Name: b.name, Arn: b.arn, Policy: s.policyOf(b).text}, nil
}

type listRulesRequest struct{ EventBusName, NamePrefix string }

type ruleDescription struct {
	Name, Arn, EventBusName, State string
	EventPattern                   string `json:",omitempty"`
	ScheduleExpression             string `json:",omitempty"`
	Description                    string `json:",omitempty"`
}

func (r *rule) describe() ruleDescription {
	d := ruleDescription{
		Name: r.name, Arn: r.arn, EventBusName: r.bus.name, State: stateEnabled, EventPattern: string(r.properties.EventPattern),
		ScheduleExpression: r.properties.ScheduleExpression, Description: r.properties.Description,
	}
	if !r.isEnabled() {
		d.State = stateDisabled
	}
	return d
}

type listRulesResponse struct{ Rules []ruleDescription }

func (s *Service) listRules(request listRulesRequest) (listRulesResponse, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return listRulesResponse{}, notFound(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	response := listRulesResponse{Rules: []ruleDescription{}}
	for _, r := range b.rules {
		if strings.HasPrefix(r.name, request.NamePrefix) {
			response.Rules = append(response.Rules, r.describe())
		}
	}
	return response, nil
}

type describeRuleResponse struct {
	ruleDescription
	CreatedBy string
}

func (s *Service) describeRule(request ruleName) (describeRuleResponse, error) {
	r, err := s.existingRule(request.EventBusName, request.Name)
	if err != nil {
		return describeRuleResponse{}, err
	}
	return describeRuleResponse{r.describe(), cloud.Account}, nil
}

type listTargetsRequest struct{ Rule, EventBusName string }

type listTargetsResponse struct{ Targets []targetProperties }

func (s *Service) listTargetsByRule(request listTargetsRequest) (listTargetsResponse, error) {
	r, err := s.existingRule(request.EventBusName, request.Rule)
	if err != nil {
		return listTargetsResponse{}, err
	}
	return listTargetsResponse{append([]targetProperties{}, r.properties.Targets...)}, nil
}

func notFound(err error) error {
	return &apiError{http.StatusBadRequest, "ResourceNotFoundException", err.Error()}
}

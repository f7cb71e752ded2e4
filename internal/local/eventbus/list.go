package eventbus

import (
	"net/http"
	"slices"
	"strings"
)

// The following operations let a person list buses and rules with the AWS CLI. They do not page.

type busDescription struct{ Name, Arn string }

type listEventBusesResponse struct{ EventBuses []busDescription }

func (s *Service) listEventBuses(struct{}) (listEventBusesResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	response := listEventBusesResponse{EventBuses: []busDescription{}}
	for _, b := range s.buses {
		response.EventBuses = append(response.EventBuses, busDescription{b.name, b.arn})
	}
	slices.SortFunc(response.EventBuses, func(a, b busDescription) int { return strings.Compare(a.Name, b.Name) })
	return response, nil
}

type listRulesRequest struct{ EventBusName string }

type ruleDescription struct{ Name, Arn, EventBusName, EventPattern, State string }

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
		state := "DISABLED"
		if r.enabled {
			state = "ENABLED"
		}
		response.Rules = append(response.Rules, ruleDescription{r.name, r.arn, b.name, string(r.source), state})
	}
	return response, nil
}

type listTargetsRequest struct{ Rule, EventBusName string }

type targetDescription struct{ Id, Arn string }

type listTargetsResponse struct{ Targets []targetDescription }

func (s *Service) listTargetsByRule(request listTargetsRequest) (listTargetsResponse, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return listTargetsResponse{}, notFound(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	response := listTargetsResponse{Targets: []targetDescription{}}
	for _, r := range b.rules {
		if r.name != request.Rule {
			continue
		}
		for _, t := range r.targets {
			response.Targets = append(response.Targets, targetDescription{t.id, t.arn})
		}
		return response, nil
	}
	return response, &apiError{http.StatusBadRequest, "ResourceNotFoundException", "rule " + request.Rule + " does not exist on event bus " + b.name}
}

func notFound(err error) error {
	return &apiError{http.StatusBadRequest, "ResourceNotFoundException", err.Error()}
}

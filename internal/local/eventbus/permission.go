package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const putEventsAction = "events:PutEvents"

// The keys of a PutEvents request that a policy may have conditions about.
// Source: EventBridge user guide, policy-keys-eventbridge.
const (
	sourceKey     = "events:source"
	detailTypeKey = "events:detail-type"
)

// A busPolicy is the resource policy of a bus. The zero value is none.
type busPolicy struct {
	text   string // "" for none
	parsed *iam.Policy
}

func parseBusPolicy(text string) (busPolicy, error) {
	if text == "" {
		return busPolicy{}, nil
	}
	parsed, err := iam.Parse(iam.Resource, []byte(text))
	if err != nil {
		return busPolicy{}, fmt.Errorf("Policy: %w", err)
	}
	return busPolicy{text, parsed}, nil
}

// with returns the policy with one more statement.
func (p busPolicy) with(statement json.RawMessage) (busPolicy, error) {
	document := struct {
		Version, Id string `json:",omitempty"`
		Statement   []json.RawMessage
	}{Version: "2012-10-17"}
	if p.text != "" {
		if err := json.Unmarshal([]byte(p.text), &document); err != nil {
			return p, fmt.Errorf("Policy of the bus: Statement must be a list where statements are added to it: %w", err)
		}
	}
	document.Statement = append(document.Statement, statement)
	return parseBusPolicy(string(encode(document)))
}

// everything is a policy that allows everything: what a caller's own policies allow was decided in front of the bus.
var everything = func() []*iam.Policy {
	p, err := iam.Parse(iam.Identity, []byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic(err)
	}
	return []*iam.Policy{p}
}()

// refusal returns the answer to an entry that the policy denies to the caller, and whether it does.
// Source: EventBridge API reference, PutEventsResultEntry.
func (p busPolicy) refusal(caller iam.Request, busARN string, e entry) (result, bool) {
	request := iam.Request{Principal: caller.Principal, Action: putEventsAction, Resource: busARN, Context: maps.Clone(caller.Context)}
	if request.Context == nil {
		request.Context = iam.Context{}
	}
	request.Context.Set(sourceKey, e.Source)
	request.Context.Set(detailTypeKey, e.DetailType)
	denied := iam.Evaluate(request, iam.Policies{Identity: everything, Resource: p.parsed})
	switch by := denied.Statement; {
	case denied.Allowed:
		return result{}, false
	case by.HasCondition(detailTypeKey):
		return result{ErrorCode: "NotAuthorizedForDetailTypeException", ErrorMessage: "Not authorized for the detail type."}, true
	case by.HasCondition(sourceKey):
		return result{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}, true
	}
	return result{ErrorCode: "AccessDeniedException", ErrorMessage: "Not authorized to put events onto the bus."}, true
}

// Policy returns the policy of the bus with that ARN, or nil.
func (s *Service) Policy(arn string) *iam.Policy {
	b, err := s.findBus(arn)
	if err != nil {
		return nil
	}
	return s.policyOf(b).parsed
}

// provisionBusPolicy adds a statement to the policy of a bus. An AWS::Events::EventBusPolicy in its older form has none: it
// names another account or an organization, which do not exist here.
func (s *Service) provisionBusPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		EventBusName string
		Statement    json.RawMessage
		StatementId  template.Ignored

		Action, Principal, Condition template.Ignored // of the older form
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	made := template.Attributes{Ref: r.PhysicalName}
	b, err := s.findBus(p.EventBusName)
	if err != nil || p.Statement == nil {
		return made, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.policy, err = b.policy.with(p.Statement); err != nil {
		return template.Attributes{}, err
	}
	return made, nil
}

// Prepare checks what refers to other resources, and gives the buses the policies that calls of earlier runs have set.
func (s *Service) Prepare(context.Context) error {
	return errors.Join(s.checkGroups(), s.restorePolicies())
}

// restorePolicies gives the buses the policies that calls of earlier runs have set, where the template's are still the same.
func (s *Service) restorePolicies() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	for _, b := range s.buses {
		b.template = b.policy
		var text string
		found, err := s.policies.Load(b.name, b.template.text, &text)
		if found {
			b.policy, err = parseBusPolicy(text)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("bus %s: %w", b.name, err))
		}
	}
	return errors.Join(problems...)
}

type putPermissionRequest struct{ EventBusName, Policy string }

// putPermission sets a bus's whole policy, until the template gives the bus another one.
// Source: EventBridge API reference, PutPermission.
func (s *Service) putPermission(request putPermissionRequest) (empty, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return empty{}, notFound(err)
	}
	if request.Policy == "" {
		return empty{}, invalid("Policy must be set: the other parameters name another account or an organization, which the local run does not have")
	}
	p, err := parseBusPolicy(request.Policy)
	if err != nil {
		return empty{}, invalid("%v", err)
	}
	return empty{}, s.setPolicy(b, p)
}

type removePermissionRequest struct {
	EventBusName         string
	RemoveAllPermissions bool
}

func (s *Service) removePermission(request removePermissionRequest) (empty, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return empty{}, notFound(err)
	}
	if !request.RemoveAllPermissions {
		return empty{}, invalid("RemoveAllPermissions must be true in the local run")
	}
	return empty{}, s.setPolicy(b, busPolicy{})
}

func (s *Service) setPolicy(b *bus, p busPolicy) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.policies.Save(b.name, b.template.text, p.text); err != nil {
		return err
	}
	b.policy = p
	return nil
}

func (s *Service) policyOf(b *bus) busPolicy {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return b.policy
}

package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// defaultBus exists in every account.
const defaultBus = "default"

// A bus is an event bus with its rules.
type bus struct {
	name  string
	arn   string
	rules []*rule
	// policy is the template's, or what a call has set in place of it.
	policy, template busPolicy
}

// busProperties are the properties of AWS::Events::EventBus.
type busProperties struct {
	Name   string
	Policy json.RawMessage

	DeadLetterConfig template.Ignored // for encryption errors
	Description      template.Ignored
	KmsKeyIdentifier template.Ignored
	LogConfig        template.Ignored
	Tags             template.Ignored
}

func (s *Service) provisionBus(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p busProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	name := p.Name
	if name == "" {
		name = r.PhysicalName
	}
	policy, err := parseBusPolicy(string(p.Policy))
	if err != nil {
		return template.Attributes{}, err
	}
	b := s.addBus(name)
	s.mu.Lock()
	b.policy = policy
	s.mu.Unlock()
	return template.Attributes{Ref: name, GetAtt: map[string]string{"Arn": b.arn, "Name": name}}, nil
}

// addBus returns the bus with this name and creates it if there is none.
func (s *Service) addBus(name string) *bus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buses[name] == nil {
		s.buses[name] = &bus{name: name, arn: s.cloud.ARN("events", "event-bus/"+name)}
	}
	return s.buses[name]
}

// findBus returns the bus with this name or ARN; "" means the default bus.
func (s *Service) findBus(nameOrARN string) (*bus, error) {
	name := nameOrARN[strings.LastIndex(nameOrARN, "/")+1:]
	if name == "" {
		name = defaultBus
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buses[name]
	if b == nil || strings.HasPrefix(nameOrARN, "arn:") && nameOrARN != b.arn {
		return nil, fmt.Errorf("event bus %s does not exist", nameOrARN)
	}
	return b, nil
}

// adviseBus adds to the error what to do about a bus that a template names and no stack of the run has.
func adviseBus(err error, nameOrARN string) error {
	return fmt.Errorf("%w: %s", err, cloud.Advice("event bus", "bus", nameOrARN[strings.LastIndex(nameOrARN, "/")+1:]))
}

package topics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// defaultPolicy is the policy of a topic that the template gives none: alarms of the account may publish, and roles need a
// policy of their own.
// Source: SNS developer guide, sns-access-policy-use-cases; the statement is what the console shows of a new topic.
const defaultPolicy = `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},` +
	`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe",` +
	`"SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":%q,"Condition":{"StringEquals":{"AWS:SourceOwner":%q}}}]}`

// publish is the action that a message to a topic needs.
const publish = "sns:Publish"

// Allows reports whether the topic's policy allows a service, for example "events.amazonaws.com", to publish on behalf of the
// resource sourceARN, for example a rule.
func (s *Service) Allows(topicARN, servicePrincipal, sourceARN string) bool {
	request := iam.Request{Action: publish, Resource: topicARN}.OfService(servicePrincipal, sourceARN, cloud.Account)
	return iam.Evaluate(request, iam.Policies{Resource: s.Policy(topicARN)}).Allowed
}

// Policy returns the policy of the topic with that ARN, or nil for one that the stack does not have.
func (s *Service) Policy(topicARN string) *iam.Policy {
	_, parsed := s.policy(topicARN)
	return parsed
}

// PolicyText returns the policy of the topic with that ARN as JSON, or "" for one that the stack does not have.
func (s *Service) PolicyText(topicARN string) string {
	text, _ := s.policy(topicARN)
	return text
}

func (s *Service) policy(topicARN string) (text string, parsed *iam.Policy) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if given, ok := s.policies[topicARN]; ok {
		return given.text, given.parsed
	}
	if s.topics[topicARN] == nil {
		return "", nil
	}
	text = fmt.Sprintf(defaultPolicy, topicARN, cloud.Account)
	parsed, _ = iam.Parse(iam.Resource, []byte(text)) // a test parses it
	return text, parsed
}

type topicPolicy struct {
	text   string
	parsed *iam.Policy
}

// provisionPolicy sets the policy of topics, in the place of the default one.
// Source: CloudFormation template reference, AWS::SNS::TopicPolicy.
func (s *Service) provisionPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		PolicyDocument json.RawMessage
		Topics         []string // ARNs
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return s.setPolicy(r, p.PolicyDocument, p.Topics)
}

// provisionInlinePolicy does the same for one topic.
// Source: CloudFormation template reference, AWS::SNS::TopicInlinePolicy.
func (s *Service) provisionInlinePolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		PolicyDocument json.RawMessage
		TopicArn       string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return s.setPolicy(r, p.PolicyDocument, []string{p.TopicArn})
}

func (s *Service) setPolicy(r template.Resource, document json.RawMessage, topicARNs []string) (template.Attributes, error) {
	parsed, err := iam.Parse(iam.Resource, document)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("PolicyDocument: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	for _, arn := range topicARNs {
		if s.topics[arn] == nil {
			problems = append(problems, fmt.Errorf("it must be of a topic that exists, got %s: put the topic into the stack that runs here", arn))
		}
		if _, taken := s.policies[arn]; taken {
			problems = append(problems, fmt.Errorf("topic %s must have only one policy: on AWS the later would silently replace the earlier", cloud.ResourceOf(arn)))
		}
		s.policies[arn] = topicPolicy{string(document), parsed}
	}
	return template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Id": r.PhysicalName}}, errors.Join(problems...)
}

package topics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The protocols that the local run delivers by, and those that reach people.
// Source: SNS API reference, Subscribe, Protocol.
const (
	protocolSQS    = "sqs"
	protocolLambda = "lambda"
)

var toPeople = []string{"email", "email-json", "sms"}

// A Subscription is a subscription of a topic of the stack.
type Subscription struct {
	LogicalID string
	ARN       string
	TopicARN  string
	Protocol  string
	Endpoint  string // ARN of a queue or function, or an address
	Raw       bool   // the queue gets the message as it is, not in a notification
	// Filter is the filter policy as JSON, or empty.
	Filter string
	// Scope is what the filter policy is about: MessageAttributes or MessageBody.
	Scope string
	// DeadLetter is the ARN of a queue, or empty.
	DeadLetter string

	filter filter
}

// Pending reports whether a person would have to confirm the subscription, which nobody does here: it receives nothing.
// Source: SNS developer guide, sns-create-subscribe-endpoint-to-topic.
func (s *Subscription) Pending() bool { return slices.Contains(toPeople, s.Protocol) }

// subscriptionProperties are the properties of AWS::SNS::Subscription.
type subscriptionProperties struct {
	TopicArn            string
	Protocol            string
	Endpoint            string
	FilterPolicy        json.RawMessage
	FilterPolicyScope   string
	RawMessageDelivery  template.Bool
	RedrivePolicy       *redrivePolicy
	Region              string // of the topic
	DeliveryPolicy      map[string]any
	ReplayPolicy        map[string]any
	SubscriptionRoleArn string
}

type redrivePolicy struct {
	DeadLetterTargetArn string `json:"deadLetterTargetArn"`
}

// provisionSubscription creates a subscription.
// Source: CloudFormation template reference, AWS::SNS::Subscription.
func (s *Service) provisionSubscription(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p subscriptionProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	err := s.subscribe(r.LogicalID, p)
	arn := p.arn()
	return template.Attributes{Ref: arn, GetAtt: map[string]string{"Arn": arn}}, err
}

// arn returns the subscription's ARN, which is the same in every run: deliveries in the journal name it.
func (p subscriptionProperties) arn() string {
	return p.TopicArn + ":" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(p.TopicArn+" "+p.Protocol+" "+p.Endpoint)).String()
}

func (s *Service) subscribe(logicalID string, p subscriptionProperties) error {
	topic := s.find(p.TopicArn)
	if topic == nil {
		return fmt.Errorf("TopicArn must name a topic that exists, got %s: put the topic into the stack that runs here", p.TopicArn)
	}
	made := &Subscription{
		LogicalID: logicalID, ARN: p.arn(), TopicARN: p.TopicArn, Protocol: p.Protocol, Endpoint: p.Endpoint,
		Raw: bool(p.RawMessageDelivery), Scope: p.FilterPolicyScope,
	}
	if made.Scope == "" {
		made.Scope = scopeAttributes
	}
	if p.RedrivePolicy != nil {
		made.DeadLetter = p.RedrivePolicy.DeadLetterTargetArn
	}
	problems := p.validate(topic, s.cloud.Region)
	if len(p.FilterPolicy) > 0 {
		var err error
		made.Filter = string(p.FilterPolicy)
		if made.filter, err = newFilter(p.FilterPolicy, made.Scope); err != nil {
			problems = append(problems, fmt.Errorf("FilterPolicy: %w", err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if made.Pending() && s.notice != nil {
		s.notice(fmt.Sprintf("%s: nothing is sent to %s by %s, because the local run does not write to people.", logicalID, p.Endpoint, p.Protocol))
	}
	return s.addSubscription(made)
}

// validate returns everything that AWS would refuse or the local run does not support.
// Source: SNS API reference, Subscribe; SNS developer guide, fifo-message-delivery and sns-dead-letter-queues.
func (p subscriptionProperties) validate(topic *Topic, region string) (problems []error) {
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	fifoQueue := strings.HasSuffix(p.Endpoint, fifoSuffix)
	switch {
	case slices.Contains(toPeople, p.Protocol):
		if topic.FIFO {
			refuse("Protocol must be sqs, because the topic is FIFO, got %q", p.Protocol)
		}
	case p.Protocol == protocolSQS && !isQueue(p.Endpoint):
		refuse("Endpoint must be the ARN of an SQS queue, got %q", p.Endpoint)
	case p.Protocol == protocolSQS && fifoQueue && !topic.FIFO:
		refuse("Endpoint must not be a FIFO queue, because the topic is not FIFO, got %q", p.Endpoint)
	case p.Protocol == protocolSQS:
	case p.Protocol == protocolLambda && topic.FIFO:
		refuse("Protocol must be sqs, because the topic is FIFO, got %q: let the function receive from a queue", p.Protocol)
	case p.Protocol == protocolLambda && !isFunction(p.Endpoint):
		refuse("Endpoint must be the ARN of a function, got %q", p.Endpoint)
	case p.Protocol == protocolLambda:
	default:
		refuse("Protocol must be sqs or lambda in the local run, got %q: its endpoint would never be called here, so leave the subscription out of the stack that runs here", p.Protocol)
	}
	if bool(p.RawMessageDelivery) && p.Protocol != protocolSQS {
		refuse("RawMessageDelivery must be false for the protocol %q", p.Protocol)
	}
	if p.FilterPolicyScope != "" && p.FilterPolicyScope != scopeAttributes && p.FilterPolicyScope != scopeBody {
		refuse("FilterPolicyScope must be %s or %s, got %q", scopeAttributes, scopeBody, p.FilterPolicyScope)
	}
	if d := p.RedrivePolicy; d != nil && (!isQueue(d.DeadLetterTargetArn) || strings.HasSuffix(d.DeadLetterTargetArn, fifoSuffix) != topic.FIFO) {
		refuse("RedrivePolicy: deadLetterTargetArn must be the ARN of an SQS queue of the topic's type, FIFO or standard, got %q", d.DeadLetterTargetArn)
	}
	if p.Region != "" && p.Region != region {
		refuse("Region must be %s, the region of the stack, got %q", region, p.Region)
	}
	for name, set := range map[string]bool{
		"DeliveryPolicy": p.DeliveryPolicy != nil, "ReplayPolicy": p.ReplayPolicy != nil, "SubscriptionRoleArn": p.SubscriptionRoleArn != "",
	} {
		if set {
			refuse("%s must be empty: the local run has none of HTTP endpoints, archives of topics and delivery streams", name)
		}
	}
	return problems
}

func (s *Service) addSubscription(made *Subscription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.subscriptions {
		if other.ARN == made.ARN {
			return fmt.Errorf("Endpoint must not be that of another subscription of the topic, got that of %s: %s", other.LogicalID, made.Endpoint)
		}
	}
	s.subscriptions = append(s.subscriptions, made)
	return nil
}

// Subscriptions returns the subscriptions of the topic with that ARN, or of all topics for "", in the order in which they
// were made.
func (s *Service) Subscriptions(topicARN string) []*Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*Subscription
	for _, one := range s.subscriptions {
		if topicARN == "" || one.TopicARN == topicARN {
			all = append(all, one)
		}
	}
	return all
}

// subscription returns the subscription with that ARN, or nil.
func (s *Service) subscription(arn string) *Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, one := range s.subscriptions {
		if one.ARN == arn {
			return one
		}
	}
	return nil
}

func isQueue(arn string) bool { return strings.HasPrefix(arn, "arn:aws:sqs:") }

func isFunction(arn string) bool { return strings.HasPrefix(arn, "arn:aws:lambda:") }

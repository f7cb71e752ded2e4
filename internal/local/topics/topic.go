package topics

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// fifoSuffix is the end of the name of every FIFO topic and queue, and of no other.
const fifoSuffix = ".fifo"

// topicName is the syntax of a topic's name. Source: SNS API reference, CreateTopic.
var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,251}(\.fifo)?$`)

// A Topic is a topic of the stack.
type Topic struct {
	LogicalID   string
	ARN         string
	DisplayName string
	FIFO        bool
	// ContentBasedDeduplication makes the SHA-256 of a body the deduplication id of a message that has none.
	ContentBasedDeduplication bool
	// DeduplicatesByGroup makes deduplication ids count within a message group, not in the whole topic.
	DeduplicatesByGroup bool

	publishing sync.Mutex // held while a call publishes to a FIFO topic
	recent     recent
}

// topicProperties are the properties of AWS::SNS::Topic.
type topicProperties struct {
	TopicName                 string
	DisplayName               string
	FifoTopic                 template.Bool
	ContentBasedDeduplication template.Bool
	FifoThroughputScope       string
	Subscription              []struct{ Protocol, Endpoint string }
	ArchivePolicy             map[string]any
	DataProtectionPolicy      map[string]any

	DeliveryStatusLogging template.Ignored
	KmsMasterKeyId        template.Ignored
	SignatureVersion      template.Ignored // nothing is signed
	Tags                  template.Ignored
	TracingConfig         template.Ignored
}

// provisionTopic creates a topic, with the subscriptions that it has inline.
// Source: CloudFormation template reference, AWS::SNS::Topic.
func (s *Service) provisionTopic(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p topicProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	name := p.TopicName
	if name == "" {
		name = r.PhysicalName
		if p.FifoTopic {
			name += fifoSuffix
		}
	}
	made := &Topic{
		LogicalID: r.LogicalID, ARN: s.cloud.ARN("sns", name), DisplayName: p.DisplayName, FIFO: bool(p.FifoTopic),
		ContentBasedDeduplication: bool(p.ContentBasedDeduplication), DeduplicatesByGroup: p.FifoThroughputScope == "MessageGroup",
	}
	problems := []error{p.validate(name), s.addTopic(made)}
	for i, inline := range p.Subscription {
		err := s.subscribe(r.LogicalID, subscriptionProperties{TopicArn: made.ARN, Protocol: inline.Protocol, Endpoint: inline.Endpoint})
		if err != nil {
			problems = append(problems, fmt.Errorf("Subscription %d: %w", i, err))
		}
	}
	return template.Attributes{Ref: made.ARN, GetAtt: map[string]string{"TopicArn": made.ARN, "TopicName": name}}, errors.Join(problems...)
}

// validate returns an error that names everything that AWS would refuse or the local run does not support.
func (p topicProperties) validate(name string) error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !topicName.MatchString(name) {
		refuse("TopicName must be 1 to 256 letters, digits, dashes and underscores, got %q", name)
	}
	if strings.HasSuffix(name, fifoSuffix) != bool(p.FifoTopic) {
		refuse("TopicName must end in %q if and only if FifoTopic is true, got %q with FifoTopic %t", fifoSuffix, name, p.FifoTopic)
	}
	if bool(p.ContentBasedDeduplication) && !bool(p.FifoTopic) {
		refuse("ContentBasedDeduplication must be false, because the topic is not FIFO")
	}
	switch p.FifoThroughputScope {
	case "", "Topic", "MessageGroup":
	default:
		refuse("FifoThroughputScope must be Topic or MessageGroup, got %q", p.FifoThroughputScope)
	}
	if p.ArchivePolicy != nil {
		refuse("ArchivePolicy must be empty, because the local run keeps no archive of a topic")
	}
	if p.DataProtectionPolicy != nil {
		refuse("DataProtectionPolicy must be empty, because the local run looks for no personal data in messages")
	}
	return errors.Join(problems...)
}

func (s *Service) addTopic(t *Topic) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.topics[t.ARN]; other != nil {
		return fmt.Errorf("TopicName must not be that of another topic, got that of %s: %s", other.LogicalID, cloud.ResourceOf(t.ARN))
	}
	s.topics[t.ARN] = t
	s.order = append(s.order, t)
	return nil
}

// find returns the topic with that ARN, or nil.
func (s *Service) find(arn string) *Topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[arn]
}

// HasTopic reports whether the stack has the topic with that ARN.
func (s *Service) HasTopic(arn string) bool { return s.find(arn) != nil }

// Topics returns the topics in the order in which they were made.
func (s *Service) Topics() []*Topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]*Topic(nil), s.order...)
}

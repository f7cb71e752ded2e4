package topics

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Policies reports whether the policy of a queue or function allows a service to use it on behalf of a resource.
type Policies interface {
	Allows(targetARN, servicePrincipal, sourceARN string) bool
}

// Config holds what [New] needs. Fields without a default are required.
type Config struct {
	// Cloud has the endpoint of SQS. New makes the service known to it, for other services that send to topics.
	Cloud *cloud.Cloud
	// DB stores the deliveries that are under way; it must not be opened with NoSync.
	DB       *bbolt.DB
	Policies Policies
	// HasFunction reports whether there is a function with that ARN. Default: no function exists.
	HasFunction func(arn string) bool
	// InvokeAsync hands a message over to a function. It returns when the invocation cannot get lost.
	InvokeAsync func(functionARN string, payload []byte) error
	// Clock tells the time that retries wait for. Default: the machine's.
	Clock *clock.Clock
	// Sink receives a hop of stage hop.Topic for each delivery, retry, dead-letter message and dropped message.
	Sink hop.Sink
	// Notice receives a line for each subscription that would reach a person. Default: nobody is told.
	Notice func(string)
}

// A Service runs the stack's topics.
type Service struct {
	cloud       *cloud.Cloud
	queues      *sqs.Client
	clock       *clock.Clock
	notice      func(string)
	hasFunction func(arn string) bool
	invokeAsync func(functionARN string, payload []byte) error
	journal     *journal
	dispatcher  *dispatcher

	mu            sync.RWMutex
	topics        map[string]*Topic // by ARN
	order         []*Topic
	subscriptions []*Subscription
	policies      map[string]topicPolicy // by ARN of the topic
}

// New returns a service without topics, with the deliveries that an earlier run left. Messages are accepted at once and
// delivered once [Service.Run] is called.
func New(cfg Config) (*Service, error) {
	journal, pending, err := openJournal(cfg.DB)
	if err != nil {
		return nil, fmt.Errorf("topics: open the journal of messages: %w", err)
	}
	s := &Service{
		cloud: cfg.Cloud, queues: cfg.Cloud.SQS(), clock: cfg.Clock, notice: cfg.Notice, journal: journal,
		hasFunction: cfg.HasFunction, invokeAsync: cfg.InvokeAsync,
		topics: map[string]*Topic{}, policies: map[string]topicPolicy{},
	}
	if s.hasFunction == nil {
		s.hasFunction = func(string) bool { return false }
	}
	s.dispatcher = newDispatcher(s, cfg.Policies, cfg.Sink)
	s.dispatcher.dispatch(pending)
	cfg.Cloud.SetTopics(s)
	return s, nil
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::SNS::Topic":             s.provisionTopic,
		"AWS::SNS::Subscription":      s.provisionSubscription,
		"AWS::SNS::TopicPolicy":       s.provisionPolicy,
		"AWS::SNS::TopicInlinePolicy": s.provisionInlinePolicy,
	}
}

// Prepare checks that the endpoints and dead-letter queues of all subscriptions exist.
func (s *Service) Prepare(ctx context.Context) error {
	var problems []error
	for _, sub := range s.Subscriptions("") {
		for property, arn := range map[string]string{"Endpoint": sub.Endpoint, "RedrivePolicy: deadLetterTargetArn": sub.DeadLetter} {
			if err := s.requireExists(ctx, property, arn); err != nil {
				problems = append(problems, fmt.Errorf("subscription %s: %w", sub.LogicalID, err))
			}
		}
	}
	return errors.Join(problems...)
}

func (s *Service) requireExists(ctx context.Context, property, arn string) error {
	if isFunction(arn) && !s.hasFunction(arn) {
		return fmt.Errorf("%s must be a function of the stack, got %s", property, arn)
	}
	return s.cloud.RequireExists(ctx, property, arn)
}

// Run delivers messages until ctx is done. What is not delivered by then stays in the journal.
func (s *Service) Run(ctx context.Context) error {
	s.dispatcher.run(ctx)
	return nil
}

package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// Topics is what the endpoint asks of the service that runs the topics.
type Topics interface {
	Publish(topicARN string, messages []topics.Message) ([]topics.Result, error)
	Topics() []*topics.Topic
	Subscriptions(topicARN string) []*topics.Subscription
	PolicyText(topicARN string) string
}

// topicAPI answers for SNS.
type topicAPI struct{ topics Topics }

// operations returns the API. Source: SNS API reference.
func (a topicAPI) operations() operations {
	return operations{
		"Publish":                   on(a.publish),
		"PublishBatch":              on(a.publishBatch),
		"ListTopics":                on(a.list),
		"ListSubscriptions":         on(a.allSubscriptions),
		"ListSubscriptionsByTopic":  on(a.subscriptions),
		"GetTopicAttributes":        on(a.attributes),
		"GetSubscriptionAttributes": on(a.subscriptionAttributes),
	}
}

type (
	listTopicsResponse struct{ Topics []topicEntry }
	topicEntry         struct{ TopicArn string }
)

// list returns all topics in one page: the stack has no more than a template can hold.
func (a topicAPI) list(context.Context, struct{}) (listTopicsResponse, error) {
	response := listTopicsResponse{Topics: []topicEntry{}}
	for _, t := range a.topics.Topics() {
		response.Topics = append(response.Topics, topicEntry{t.ARN})
	}
	return response, nil
}

type (
	topicRequest              struct{ TopicArn string }
	listSubscriptionsResponse struct{ Subscriptions []subscriptionEntry }
	subscriptionEntry         struct{ SubscriptionArn, Owner, Protocol, Endpoint, TopicArn string }
)

// pending stands for the ARN of a subscription that nobody has confirmed. Source: SNS API reference, ListSubscriptions.
const pending = "PendingConfirmation"

func (a topicAPI) allSubscriptions(context.Context, struct{}) (listSubscriptionsResponse, error) {
	return a.listed(""), nil
}

func (a topicAPI) subscriptions(_ context.Context, request topicRequest) (listSubscriptionsResponse, error) {
	if _, err := a.find(request.TopicArn); err != nil {
		return listSubscriptionsResponse{}, err
	}
	return a.listed(request.TopicArn), nil
}

func (a topicAPI) listed(topicARN string) listSubscriptionsResponse {
	response := listSubscriptionsResponse{Subscriptions: []subscriptionEntry{}}
	for _, s := range a.topics.Subscriptions(topicARN) {
		arn := s.ARN
		if s.Pending() {
			arn = pending
		}
		response.Subscriptions = append(response.Subscriptions, subscriptionEntry{arn, cloud.Account, s.Protocol, s.Endpoint, s.TopicARN})
	}
	return response
}

type attributesResponse struct{ Attributes map[string]string }

func (a topicAPI) attributes(_ context.Context, request topicRequest) (attributesResponse, error) {
	t, err := a.find(request.TopicArn)
	if err != nil {
		return attributesResponse{}, err
	}
	confirmed, waiting := 0, 0
	for _, s := range a.topics.Subscriptions(t.ARN) {
		if s.Pending() {
			waiting++
		} else {
			confirmed++
		}
	}
	all := map[string]string{
		"TopicArn": t.ARN, "Owner": cloud.Account, "DisplayName": t.DisplayName, "Policy": a.topics.PolicyText(t.ARN),
		"SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsPending": strconv.Itoa(waiting), "SubscriptionsDeleted": "0",
	}
	if t.FIFO {
		all["FifoTopic"], all["ContentBasedDeduplication"] = "true", strconv.FormatBool(t.ContentBasedDeduplication)
	}
	return attributesResponse{all}, nil
}

func (a topicAPI) subscriptionAttributes(_ context.Context, request struct{ SubscriptionArn string }) (attributesResponse, error) {
	all := a.topics.Subscriptions("")
	i := slices.IndexFunc(all, func(s *topics.Subscription) bool { return s.ARN == request.SubscriptionArn })
	if i < 0 {
		return attributesResponse{}, &wire.Error{Status: http.StatusNotFound, Code: "NotFound", Message: "Subscription does not exist"}
	}
	s := all[i]
	attributes := map[string]string{
		"SubscriptionArn": s.ARN, "TopicArn": s.TopicARN, "Owner": cloud.Account, "Protocol": s.Protocol, "Endpoint": s.Endpoint,
		"PendingConfirmation": strconv.FormatBool(s.Pending()), "RawMessageDelivery": strconv.FormatBool(s.Raw),
	}
	if s.Filter != "" {
		attributes["FilterPolicy"], attributes["FilterPolicyScope"] = s.Filter, s.Scope
	}
	if s.DeadLetter != "" {
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q}`, s.DeadLetter)
	}
	return attributesResponse{attributes}, nil
}

func (a topicAPI) find(arn string) (*topics.Topic, error) {
	for _, t := range a.topics.Topics() {
		if t.ARN == arn {
			return t, nil
		}
	}
	return nil, &wire.Error{Status: http.StatusNotFound, Code: "NotFound", Message: "Topic does not exist"}
}

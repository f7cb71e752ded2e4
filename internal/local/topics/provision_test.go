package topics_test

import (
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// allowAll are policies that allow everyone.
type allowAll struct{}

func (allowAll) Allows(string, string, string) bool { return true }

// withoutQueues returns topics that deliver nothing, with a standard and a FIFO topic.
func withoutQueues(t *testing.T) *stack {
	t.Helper()
	s := &stack{cloud: cloud.New(region)}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "positions.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if s.Service, err = topics.New(topics.Config{Cloud: s.cloud, DB: db, Policies: allowAll{}, Sink: func(hop.Hop) {}}); err != nil {
		t.Fatal(err)
	}
	s.make(t, "AWS::SNS::Topic", "Standard", object{"TopicName": "Standard"})
	s.make(t, "AWS::SNS::Topic", "Fifo", object{"TopicName": "Fifo.fifo", "FifoTopic": true})
	return s
}

func TestTopicsThatAreRefused(t *testing.T) {
	s := withoutQueues(t)
	for want, properties := range map[string]object{
		`TopicName must end in ".fifo" if and only if FifoTopic is true, got "T" with FifoTopic true`:                                                      {"TopicName": "T", "FifoTopic": true},
		`TopicName must be 1 to 256 letters, digits, dashes and underscores, got "a b"`:                                                                    {"TopicName": "a b"},
		"TopicName must not be that of another topic, got that of Standard: Standard":                                                                      {"TopicName": "Standard"},
		"ContentBasedDeduplication must be false, because the topic is not FIFO":                                                                           {"ContentBasedDeduplication": true},
		`FifoThroughputScope must be Topic or MessageGroup, got "Queue"`:                                                                                   {"FifoThroughputScope": "Queue"},
		"ArchivePolicy must be empty, because the local run keeps no archive of a topic":                                                                   {"ArchivePolicy": object{"MessageRetentionPeriod": "1"}},
		"DataProtectionPolicy must be empty":                                                                                                               {"DataProtectionPolicy": object{"Name": "x"}},
		"property Color is not supported":                                                                                                                  {"Color": "red"},
		`Subscription 0: Protocol must be sqs or lambda in the local run, got "https": its endpoint would never be called here, so leave the subscription`: {"Subscription": []any{object{"Protocol": "https", "Endpoint": "https://example.com"}}},
	} {
		if _, err := s.provision(t, "AWS::SNS::Topic", "T", properties); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", properties, err, want)
		}
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	s := withoutQueues(t)
	standard, fifo := topicARN("Standard"), topicARN("Fifo.fifo")
	queue, fifoQueue, function := queueARN("Q"), queueARN("Q.fifo"), functionARN("F")
	s.make(t, "AWS::SNS::Subscription", "Taken", object{"TopicArn": standard, "Protocol": "sqs", "Endpoint": queueARN("Taken")})
	for want, c := range map[string]struct {
		topic, protocol, endpoint string
		properties                object
	}{
		"TopicArn must name a topic that exists, got x: put the topic into the stack":            {"x", "sqs", queue, nil},
		`Protocol must be sqs or lambda in the local run, got "firehose"`:                        {standard, "firehose", "arn:aws:firehose:eu-west-1:000000000000:deliverystream/s", nil},
		`Protocol must be sqs or lambda in the local run, got "application"`:                     {standard, "application", "arn:aws:sns:eu-west-1:000000000000:endpoint/GCM/a/b", nil},
		`Protocol must be sqs or lambda in the local run, got "http"`:                            {standard, "http", "http://example.com", nil},
		`Endpoint must be the ARN of an SQS queue, got "arn:aws:lambda`:                          {standard, "sqs", function, nil},
		`Endpoint must be the ARN of a function, got "arn:aws:sqs`:                               {standard, "lambda", queue, nil},
		"Endpoint must not be a FIFO queue, because the topic is not FIFO":                       {standard, "sqs", fifoQueue, nil},
		"Endpoint must not be that of another subscription of the topic, got that of Taken":      {standard, "sqs", queueARN("Taken"), nil},
		`Protocol must be sqs, because the topic is FIFO, got "lambda"`:                          {fifo, "lambda", function, nil},
		`Protocol must be sqs, because the topic is FIFO, got "email"`:                           {fifo, "email", "a@example.com", nil},
		`RawMessageDelivery must be false for the protocol "lambda"`:                             {standard, "lambda", function, object{"RawMessageDelivery": true}},
		"FilterPolicyScope must be MessageAttributes or MessageBody, got \"Body\"":               {standard, "sqs", queue, object{"FilterPolicyScope": "Body"}},
		"FilterPolicy: it must not be nested":                                                    {standard, "sqs", queue, object{"FilterPolicy": object{"a": object{"b": []any{"c"}}}}},
		"RedrivePolicy: deadLetterTargetArn must be the ARN of an SQS queue of the topic's type": {standard, "sqs", queue, object{"RedrivePolicy": object{"deadLetterTargetArn": fifoQueue}}},
		"Region must be eu-west-1, the region of the stack, got \"us-east-1\"":                   {standard, "sqs", queue, object{"Region": "us-east-1"}},
		"DeliveryPolicy must be empty":                                                           {standard, "sqs", queue, object{"DeliveryPolicy": object{"healthyRetryPolicy": object{}}}},
		"ReplayPolicy must be empty":                                                             {fifo, "sqs", fifoQueue, object{"ReplayPolicy": object{"PointType": "Timestamp"}}},
		"SubscriptionRoleArn must be empty":                                                      {standard, "sqs", queue, object{"SubscriptionRoleArn": "arn:aws:iam::000000000000:role/r"}},
	} {
		properties := object{"TopicArn": c.topic, "Protocol": c.protocol, "Endpoint": c.endpoint}
		for name, value := range c.properties {
			properties[name] = value
		}
		if _, err := s.provision(t, "AWS::SNS::Subscription", "S", properties); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", properties, err, want)
		}
	}
}

// All problems of a subscription are named at once.
func TestAllProblemsAtOnce(t *testing.T) {
	s := withoutQueues(t)
	_, err := s.provision(t, "AWS::SNS::Subscription", "S", object{
		"TopicArn": topicARN("Standard"), "Protocol": "lambda", "Endpoint": "x", "RawMessageDelivery": true, "FilterPolicyScope": "y", "FilterPolicy": object{"a": "b"},
	})
	for _, want := range []string{"Endpoint must", "RawMessageDelivery must", "FilterPolicyScope must", "FilterPolicy: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

// An endpoint that does not exist is refused before the stack is ready.
func TestEndpointsThatAreMissing(t *testing.T) {
	s := newStack(t)
	topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
	s.subscribe(t, topic, "Nowhere", object{"RedrivePolicy": object{"deadLetterTargetArn": queueARN("Dead")}})
	s.make(t, "AWS::SNS::Subscription", "Nobody", object{"TopicArn": topic, "Protocol": "lambda", "Endpoint": functionARN("Nobody")})
	err := s.Prepare(t.Context())
	for _, want := range []string{
		"subscription NowhereSubscription: Endpoint must name a queue that exists, got " + queueARN("Nowhere"),
		"subscription NowhereSubscription: RedrivePolicy: deadLetterTargetArn must name a queue that exists",
		"subscription Nobody: Endpoint must be a function of the stack, got " + functionARN("Nobody"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

// A topic without a policy lets alarms in, as SNS's default one does; the template's replaces that.
func TestPolicies(t *testing.T) {
	s := withoutQueues(t)
	const alarms, events = "cloudwatch.amazonaws.com", "events.amazonaws.com"
	alarm, rule := "arn:aws:cloudwatch:"+region+":000000000000:alarm:A", "arn:aws:events:"+region+":000000000000:rule/R"
	topic := topicARN("Standard")
	for service, want := range map[string]bool{alarms: true, events: false} {
		if got := s.Allows(topic, service, alarm); got != want {
			t.Errorf("the default policy allows %s: %t", service, got)
		}
	}
	if s.Policy(topicARN("Elsewhere")) != nil || s.PolicyText(topicARN("Elsewhere")) != "" {
		t.Error("a topic of another stack has a policy")
	}
	s.make(t, "AWS::SNS::TopicPolicy", "Policy", object{"Topics": []any{topic}, "PolicyDocument": object{"Version": "2012-10-17", "Statement": object{
		"Effect": "Allow", "Principal": object{"Service": events}, "Action": "sns:Publish", "Resource": topic, "Condition": object{"ArnEquals": object{"aws:SourceArn": rule}},
	}}})
	if s.Allows(topic, alarms, alarm) || !s.Allows(topic, events, rule) || s.Allows(topic, events, rule+"2") {
		t.Error("the template's policy does not decide")
	}
	for want, c := range map[string]struct {
		kind       string
		properties object
	}{
		"topic Standard must have only one policy":                        {"AWS::SNS::TopicInlinePolicy", object{"TopicArn": topic, "PolicyDocument": object{"Version": "2012-10-17", "Statement": []any{}}}},
		"it must be of a topic that exists, got " + topicARN("Elsewhere"): {"AWS::SNS::TopicPolicy", object{"Topics": []any{topicARN("Elsewhere")}, "PolicyDocument": object{"Version": "2012-10-17", "Statement": []any{}}}},
		"PolicyDocument: ": {"AWS::SNS::TopicPolicy", object{"Topics": []any{topic}, "PolicyDocument": object{"Statement": "x"}}},
	} {
		if _, err := s.provision(t, c.kind, "P", c.properties); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	s := withoutQueues(t)
	with := func(kind, value string) topics.Message {
		return topics.Message{Body: "x", Attributes: map[string]topics.Attribute{"a": {Type: kind, Value: value}}}
	}
	for want, m := range map[string]topics.Message{
		"Empty message":                                        {},
		"must be UTF-8":                                        {Body: "\xff"},
		"Message too long":                                     {Body: strings.Repeat("x", 256<<10+1)},
		"Invalid parameter: Subject":                           {Body: "x", Subject: strings.Repeat("x", 101)},
		"JSON message body failed to parse":                    {Body: `{"sqs": "x"}`, Structured: true},
		"includes MessageDeduplicationId parameter":            {Body: "x", Deduplication: "d"},
		"MessageGroupId Reason":                                {Body: "x", Group: "a b"},
		"the set of supported type prefixes":                   with("Text", "x"),
		"must contain non-empty message attribute value":       with("String", ""),
		"Could not cast message attribute 'a' value to number": with("Number", "x"),
		"must be a JSON array":                                 with("String.Array", "x"),
		"must be base64":                                       with("Binary", "!"),
	} {
		results, err := s.Publish(topicARN("Standard"), []topics.Message{m, {Body: "good"}})
		if err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), want) || results[1].MessageID == "" {
			t.Errorf("%+v, %v, want %q and the second accepted", results, err, want)
		}
	}
	for want, m := range map[string]topics.Message{
		"MessageGroupId parameter is required for FIFO topics": {Body: "x", Deduplication: "d"},
		"ContentBasedDeduplication enabled":                    {Body: "x", Group: "g"},
	} {
		if results, err := s.Publish(topicARN("Fifo.fifo"), []topics.Message{m}); err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), want) {
			t.Errorf("%+v, %v, want %q", results, err, want)
		}
	}
	if _, err := s.Publish(topicARN("Elsewhere"), nil); err == nil || err.Error() != "NotFound: Topic does not exist" {
		t.Errorf("a topic that does not exist: %v", err)
	}
}

package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Topics sends the messages of other services to the stack's topics. It does not ask who sends: the caller has asked the
// policies.
type Topics interface {
	HasTopic(arn string) bool
	// Send returns once the message is on disk for every subscription. The subject may be empty. Its error wraps
	// ErrRefused when the topic would refuse the message again.
	Send(ctx context.Context, topicARN, subject, body string) error
}

// ErrRefused reports that a topic does not take a message: there is no such topic, or the message is too long for it.
var ErrRefused = errors.New("refused by the topic")

// IsTopic reports whether an ARN is that of an SNS topic.
func IsTopic(arn string) bool { return strings.HasPrefix(arn, "arn:aws:sns:") }

// SetTopics sets what sends to topics.
func (c *Cloud) SetTopics(t Topics) {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	c.shared.topics = t
}

// Topics returns what sends to topics. Before [Cloud.SetTopics] no topic exists.
func (c *Cloud) Topics() Topics {
	c.shared.mu.RLock()
	defer c.shared.mu.RUnlock()
	if c.shared.topics == nil {
		return noTopics{}
	}
	return c.shared.topics
}

type noTopics struct{}

func (noTopics) HasTopic(string) bool { return false }

func (noTopics) Send(_ context.Context, topicARN, _, _ string) error {
	return fmt.Errorf("%w: topic %s does not exist", ErrRefused, topicARN)
}

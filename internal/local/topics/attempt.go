package topics

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// principal is the name of SNS in the policies of queues and functions.
const principal = "sns.amazonaws.com"

// The retries of a delivery: three at once, two after a second each, ten after one to twenty seconds, and the rest every
// twenty seconds.
// Source: SNS developer guide, sns-message-delivery-retries, "AWS managed endpoints".
const (
	maxRetries  = 100_015 - 1
	atOnce      = 3
	afterSecond = atOnce + 2
	longestWait = 20 * time.Second
)

// A failure is the reason why a message was not accepted.
type failure struct {
	final bool // every further attempt would fail too
	err   error
}

func (f *failure) Error() string { return f.err.Error() }

// waitBefore returns the wait before retry n of a delivery, counted from 0. Those that double have a random part.
func waitBefore(n int) time.Duration {
	switch {
	case n < atOnce:
		return 0
	case n < afterSecond:
		return time.Second
	}
	wait := longestWait
	if doubled := time.Second << min(n-afterSecond, 10); doubled < longestWait {
		wait = doubled
	}
	return wait/2 + rand.N(wait/2)
}

// attempt attempts a delivery once.
func (d *dispatcher) attempt(ctx context.Context, sub *Subscription, one *delivery) *failure {
	if sub.Protocol == protocolLambda {
		return d.invoke(sub, one.Message)
	}
	return d.send(ctx, sub, sub.Endpoint, one.Message)
}

// invoke hands a message over to Lambda, which tries by itself again when the function fails.
// Source: Lambda developer guide, with-sns.
func (d *dispatcher) invoke(sub *Subscription, p *published) *failure {
	if !d.service.hasFunction(sub.Endpoint) {
		return &failure{final: true, err: fmt.Errorf("the function %s does not exist", sub.Endpoint)}
	}
	if failed := d.refused(sub, sub.Endpoint, "function", "invoke it"); failed != nil {
		return failed
	}
	event := encode(p.functionEvent(sub, d.service.endpoint()))
	if err := d.service.invokeAsync(sub.Endpoint, event); err != nil {
		return &failure{err: err}
	}
	return nil
}

// refused returns why the topic may not use a queue or function, or nil.
func (d *dispatcher) refused(sub *Subscription, arn, kind, use string) *failure {
	if d.policies.Allows(arn, principal, sub.TopicARN) {
		return nil
	}
	return &failure{final: true, err: fmt.Errorf("the %s policy of %s does not allow the topic to %s", kind, arn, use)}
}

// send sends the message of a subscription to a queue: its endpoint or its dead-letter queue.
func (d *dispatcher) send(ctx context.Context, sub *Subscription, queueARN string, p *published) *failure {
	if failed := d.refused(sub, queueARN, "queue", "send messages"); failed != nil {
		return failed
	}
	in := &sqs.SendMessageInput{QueueUrl: aws.String(d.service.cloud.QueueURL(queueARN))}
	if m := p.forProtocol(sub.Protocol); sub.Raw {
		in.MessageBody, in.MessageAttributes = &m.Body, sqsAttributes(m.Attributes)
	} else {
		in.MessageBody = aws.String(string(encode(p.notification(sub, d.service.endpoint()))))
	}
	if len(in.MessageAttributes) > maxRawAttributes {
		return &failure{final: true, err: fmt.Errorf("a message of raw delivery must have at most %d attributes, got %d", maxRawAttributes, len(in.MessageAttributes))}
	}
	if p.Group != "" {
		in.MessageGroupId = &p.Group
	}
	if strings.HasSuffix(queueARN, fifoSuffix) {
		in.MessageDeduplicationId = &p.Deduplication
	}
	// The dispatcher retries, not the SDK.
	_, err := d.service.queues.SendMessage(ctx, in, func(o *sqs.Options) { o.RetryMaxAttempts = 1 })
	return classify(err)
}

// maxRawAttributes limits the attributes of a message of raw delivery: SQS takes no more.
// Source: SNS developer guide, sns-message-attributes.
const maxRawAttributes = 10

// sqsAttributes returns the attributes of a message as SQS takes them.
func sqsAttributes(attributes map[string]Attribute) map[string]types.MessageAttributeValue {
	all := map[string]types.MessageAttributeValue{}
	for name, a := range attributes {
		value := types.MessageAttributeValue{DataType: aws.String(a.Type)}
		if binary, err := base64.StdEncoding.DecodeString(a.Value); strings.HasPrefix(a.Type, typeBinary) && err == nil {
			value.BinaryValue = binary
		} else {
			value.StringValue = aws.String(a.Value)
		}
		all[name] = value
	}
	return all
}

// classify returns the failure for an error of SQS, or nil: permanent when the caller caused it, as with a queue that does not
// exist. Source: SNS developer guide, sns-dead-letter-queues, "Why do message deliveries fail?".
func classify(err error) *failure {
	if err == nil {
		return nil
	}
	var answer *smithyhttp.ResponseError
	client := errors.As(err, &answer) && answer.HTTPStatusCode() >= 400 && answer.HTTPStatusCode() < 500 && answer.HTTPStatusCode() != http.StatusTooManyRequests
	return &failure{final: client, err: err}
}

// endpoint returns the URL at which the local run answers for SNS.
func (s *Service) endpoint() string { return s.cloud.Endpoint(cloud.Others) }

package queues

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// sendMessage is the action that a service needs to send a message to a queue.
const sendMessage = "sqs:SendMessage"

// Allows reports whether the queue's policy allows a service, for example "events.amazonaws.com", to send messages on
// behalf of the resource sourceARN, for example a rule. A queue without a policy allows no service.
func (s *Service) Allows(queueARN, servicePrincipal, sourceARN string) bool {
	request := iam.Request{Action: sendMessage, Resource: queueARN}.OfService(servicePrincipal, sourceARN, account(sourceARN))
	return iam.Evaluate(request, iam.Policies{Resource: s.Policy(queueARN)}).Allowed
}

// Policy returns the policy of the queue with that ARN, or nil. That of a queue that the template does not have is its
// attribute.
func (s *Service) Policy(queueARN string) *iam.Policy {
	s.mu.RLock()
	p := s.policies[queueARN]
	_, known := s.known[queueARN]
	s.mu.RUnlock()
	if p == nil && !known {
		return s.attributePolicy(queueARN)
	}
	return p
}

// attributePolicy returns the policy that somebody gave to a queue after it was made, none where it cannot be read.
func (s *Service) attributePolicy(queueARN string) *iam.Policy {
	text := s.attributesOf(queueARN)[string(types.QueueAttributeNamePolicy)]
	if text == "" {
		return nil
	}
	parsed, err := iam.Parse(iam.Resource, []byte(text))
	if err != nil {
		return nil
	}
	return parsed
}

// attributesOf returns the attributes of a queue that the template does not have, nil where there is none.
func (s *Service) attributesOf(queueARN string) map[string]string {
	if s.client == nil {
		return nil
	}
	url := s.cloud.QueueURL(queueARN)
	ctx, cancel := context.WithTimeout(context.Background(), attributeTimeout)
	defer cancel()
	out, err := s.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNamePolicy, types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return nil
	}
	return out.Attributes
}

// attributeTimeout is how long fauxqs may take for one answer.
const attributeTimeout = 5 * time.Second

// account returns the account id of an ARN.
func account(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// policyProperties are the properties of AWS::SQS::QueuePolicy.
type policyProperties struct {
	PolicyDocument json.RawMessage
	Queues         []string // URLs
}

// provisionPolicy sets the policy of queues. Policies come from the template only and are not stored on disk.
func (s *Service) provisionPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p policyProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	parsed, err := iam.Parse(iam.Resource, p.PolicyDocument)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("PolicyDocument: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range p.Queues {
		arn := s.cloud.ARN("sqs", url[strings.LastIndex(url, "/")+1:])
		if _, taken := s.policies[arn]; taken {
			return template.Attributes{}, fmt.Errorf("queue %s must have only one AWS::SQS::QueuePolicy: on AWS the later would silently replace the earlier", cloud.ResourceOf(arn))
		}
		s.policies[arn] = parsed
	}
	return template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Id": r.PhysicalName}}, nil
}

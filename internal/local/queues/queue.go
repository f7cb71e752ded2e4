package queues

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// fifoSuffix is the end of the name of every FIFO queue, and of no other.
const fifoSuffix = ".fifo"

// queueProperties are the properties of AWS::SQS::Queue.
type queueProperties struct {
	QueueName                     string
	VisibilityTimeout             *template.Int
	DelaySeconds                  *template.Int
	MaximumMessageSize            *template.Int
	MessageRetentionPeriod        *template.Int
	ReceiveMessageWaitTimeSeconds *template.Int
	RedrivePolicy                 *redrivePolicy
	FifoQueue                     template.Bool
	ContentBasedDeduplication     template.Bool
	DeduplicationScope            string

	FifoThroughputLimit          template.Ignored // a quota
	RedriveAllowPolicy           template.Ignored // who may use this queue as a dead-letter queue, which only matters at deployment
	KmsMasterKeyId               template.Ignored
	KmsDataKeyReusePeriodSeconds template.Ignored
	SqsManagedSseEnabled         template.Ignored
	Tags                         template.Ignored
}

// A redrivePolicy moves a message to a dead-letter queue when it is received more than maxReceiveCount times.
type redrivePolicy struct {
	DeadLetterTargetArn string       `json:"deadLetterTargetArn"`
	MaxReceiveCount     template.Int `json:"maxReceiveCount"`
}

// numericAttributes lists the numeric attributes with SQS's ranges and defaults.
// Source: SQS API reference, SetQueueAttributes.
var numericAttributes = []struct {
	name             string
	of               func(queueProperties) *template.Int
	least, most, def int64
}{
	{"VisibilityTimeout", func(p queueProperties) *template.Int { return p.VisibilityTimeout }, 0, 43_200, 30},
	{"DelaySeconds", func(p queueProperties) *template.Int { return p.DelaySeconds }, 0, 900, 0},
	{"MaximumMessageSize", func(p queueProperties) *template.Int { return p.MaximumMessageSize }, 1_024, 1_048_576, 1_048_576},
	{"MessageRetentionPeriod", func(p queueProperties) *template.Int { return p.MessageRetentionPeriod }, 60, 1_209_600, 345_600},
	{"ReceiveMessageWaitTimeSeconds", func(p queueProperties) *template.Int { return p.ReceiveMessageWaitTimeSeconds }, 0, 20, 0},
}

// provisionQueue creates the queue, or finds the queue of an earlier run with its messages and updates its attributes.
func (s *Service) provisionQueue(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p queueProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	name, err := queueName(p, r.PhysicalName)
	if err != nil {
		return template.Attributes{}, err
	}
	attributes, err := queueAttributes(p)
	if err != nil {
		return template.Attributes{}, err
	}
	arn := s.cloud.ARN("sqs", name)
	// A second call sets the attributes: CreateQueue refuses a queue that exists with other attributes.
	create := &sqs.CreateQueueInput{QueueName: &name}
	if p.FifoQueue {
		create.Attributes = map[string]string{"FifoQueue": "true"}
	}
	if _, err := s.client.CreateQueue(ctx, create); err != nil {
		return template.Attributes{}, fmt.Errorf("create queue %s: %w", name, err)
	}
	url := s.cloud.QueueURL(arn)
	if _, err := s.client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: aws.String(url), Attributes: attributes}); err != nil {
		return template.Attributes{}, fmt.Errorf("set attributes of queue %s: %w", name, err)
	}
	s.mu.Lock()
	s.known[arn] = r.LogicalID
	s.mu.Unlock()
	return template.Attributes{
		Ref:    url,
		GetAtt: map[string]string{"Arn": arn, "QueueName": name, "QueueUrl": url},
	}, nil
}

// Exists reports whether the stack has the queue with that ARN, or somebody has made it in the run.
func (s *Service) Exists(arn string) bool {
	s.mu.RLock()
	_, known := s.known[arn]
	s.mu.RUnlock()
	return known || s.attributesOf(arn) != nil
}

// queueName returns the template's name, or the generated one with the end that the names of FIFO queues must have.
func queueName(p queueProperties, generated string) (string, error) {
	switch {
	case p.QueueName == "" && bool(p.FifoQueue):
		return generated + fifoSuffix, nil
	case p.QueueName == "":
		return generated, nil
	case strings.HasSuffix(p.QueueName, fifoSuffix) != bool(p.FifoQueue):
		return "", fmt.Errorf("QueueName must end in %q if and only if FifoQueue is true, got %q with FifoQueue %t", fifoSuffix, p.QueueName, p.FifoQueue)
	}
	return p.QueueName, nil
}

// queueAttributes returns all attributes that can be set, including those with default values, so that a queue of an
// earlier run gets the present value of each.
func queueAttributes(p queueProperties) (map[string]string, error) {
	var problems []error
	attributes := map[string]string{}
	for _, n := range numericAttributes {
		value := n.def
		if given := n.of(p); given != nil {
			value = int64(*given)
		}
		if value < n.least || value > n.most {
			problems = append(problems, fmt.Errorf("%s must be a whole number from %d to %d, got %d", n.name, n.least, n.most, value))
		}
		attributes[n.name] = strconv.FormatInt(value, 10)
	}
	redrive, err := p.RedrivePolicy.attribute(bool(p.FifoQueue))
	attributes["RedrivePolicy"] = redrive
	problems = append(problems, err)
	if p.FifoQueue {
		attributes["ContentBasedDeduplication"] = strconv.FormatBool(bool(p.ContentBasedDeduplication))
	}
	if p.DeduplicationScope != "" && p.DeduplicationScope != "queue" {
		problems = append(problems, fmt.Errorf("DeduplicationScope must be \"queue\" in the local run, got %q", p.DeduplicationScope))
	}
	return attributes, errors.Join(problems...)
}

// attribute returns the policy as SQS stores it. "" removes a policy that an earlier run has set.
func (p *redrivePolicy) attribute(fifo bool) (string, error) {
	if p == nil {
		return "", nil
	}
	if p.DeadLetterTargetArn == "" {
		return "", errors.New("RedrivePolicy must have a deadLetterTargetArn")
	}
	// Source: SQS developer guide, sqs-dead-letter-queues.
	if p.MaxReceiveCount < 1 || p.MaxReceiveCount > 1000 {
		return "", fmt.Errorf("RedrivePolicy: maxReceiveCount must be a whole number from 1 to 1000, got %d", p.MaxReceiveCount)
	}
	if strings.HasSuffix(p.DeadLetterTargetArn, fifoSuffix) != fifo {
		return "", fmt.Errorf("RedrivePolicy: the dead-letter queue %s must be of the same type as the queue, FIFO or standard", p.DeadLetterTargetArn)
	}
	raw, err := json.Marshal(p)
	return string(raw), err
}

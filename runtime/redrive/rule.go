package redrive

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// targetAttribute names the target that EventBridge could not reach.
// Source: EventBridge user guide, eb-rule-event-delivery, "Using dead-letter queues".
const targetAttribute = "TARGET_ARN"

// Rule sends the events of a rule's dead-letter queue to the queues that the rules could not reach. It
// does not put them on the bus again: that would deliver them to every other target once more. The
// target must be a standard queue of the same account and region. It gets the event as it is, without what EventBridge
// noted about the failure, and with its X-Ray trace. A message that names no target, or whose event EventBridge
// encrypted because it could not use the bus's key, is kept.
func (r *Redriver) Rule(ctx context.Context, deadLetterQueue string) (Report, error) {
	urls := map[string]string{}
	return r.redriveQueue(ctx, deadLetterQueue, func(ctx context.Context, m types.Message) error {
		if err := encrypted(m); err != nil {
			return err
		}
		target := aws.ToString(m.MessageAttributes[targetAttribute].StringValue)
		url, known := urls[target]
		if !known {
			var err error
			if url, err = r.queueOf(ctx, target); err != nil {
				return err
			}
			urls[target] = url
		}
		return r.send(ctx, url, m, nil)
	})
}

// queueOf returns the URL of the queue with that ARN.
func (r *Redriver) queueOf(ctx context.Context, arn string) (string, error) {
	if arn == "" {
		return "", fmt.Errorf("it has no message attribute %s, so the queue that it was for is not known", targetAttribute)
	}
	parts := strings.Split(arn, ":") // arn:aws:sqs:region:account:name
	if len(parts) != 6 || parts[2] != "sqs" || strings.HasSuffix(arn, ".fifo") {
		return "", fmt.Errorf("message attribute %s must be the ARN of a standard queue, got %q", targetAttribute, arn)
	}
	out, err := r.clients.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	if err != nil {
		return "", fmt.Errorf("find queue %s: %w", arn, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// encrypted reports an error when the message is what EventBridge makes of an event that it could not encrypt or decrypt
// with the bus's key: the consumer would get ciphertext.
// Source: EventBridge user guide, eb-encryption-event-bus-dlq-decrypt.
func encrypted(m types.Message) error {
	var event struct {
		DetailType string `json:"detail-type"`
		Detail     struct {
			Payload *string `json:"encrypted-payload"`
			Key     string  `json:"kms-key-arn"`
		} `json:"detail"`
	}
	if json.Unmarshal([]byte(aws.ToString(m.Body)), &event) != nil || event.DetailType != "Encrypted Events" || event.Detail.Payload == nil {
		return nil
	}
	return fmt.Errorf("its event is encrypted, because EventBridge could not use the key %s: let EventBridge use the key again, "+
		"then decrypt the message with the AWS Encryption SDK or replay the archive", event.Detail.Key)
}

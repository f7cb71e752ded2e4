package redrive

import (
	"context"
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
// target must be a standard queue of the same account and region, which gets the event as it is.
func (r *Redriver) Rule(ctx context.Context, deadLetterQueue string) (Report, error) {
	urls := map[string]string{}
	return r.each(ctx, deadLetterQueue, func(m types.Message) error {
		target := aws.ToString(m.MessageAttributes[targetAttribute].StringValue)
		url, known := urls[target]
		if !known {
			var err error
			if url, err = r.queueOf(ctx, target); err != nil {
				return err
			}
			urls[target] = url
		}
		return r.send(ctx, url, m.Body, nil)
	})
}

// queueOf is the URL of the queue with that ARN.
func (r *Redriver) queueOf(ctx context.Context, arn string) (string, error) {
	parts := strings.Split(arn, ":") // arn:aws:sqs:region:account:name
	if len(parts) != 6 || parts[2] != "sqs" || strings.HasSuffix(arn, ".fifo") {
		return "", fmt.Errorf("%s is %q, the ARN of a standard queue is needed", targetAttribute, arn)
	}
	out, err := r.clients.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	if err != nil {
		return "", fmt.Errorf("find queue %s: %w", arn, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

package cloud

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queuetypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// RequireExists returns an error when the stream, event bus, topic or queue that a property of a resource names by its ARN does
// not run here. The empty ARN names nothing.
func (c *Cloud) RequireExists(ctx context.Context, property, arn string) error {
	switch {
	case strings.Contains(arn, "/stream/"):
		_, err := c.Streams().DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
		return existence[*streamtypes.ResourceNotFoundException](err, property, "a stream", "put the table into a stack that runs here", arn)
	case strings.HasPrefix(arn, "arn:aws:events:"):
		_, err := c.EventBridge().DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &arn})
		return existence[*bustypes.ResourceNotFoundException](err, property, "an event bus", Advice("event bus", "bus", nameIn(arn)), arn)
	case IsTopic(arn):
		if !c.Topics().HasTopic(arn) {
			return missing(property, "a topic", "put the topic into a stack that runs here", arn)
		}
	case strings.HasPrefix(arn, "arn:aws:sqs:"):
		url := c.QueueURL(arn)
		_, err := c.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url})
		return existence[*queuetypes.QueueDoesNotExist](err, property, "a queue", Advice("queue", "queue", nameIn(arn)), arn)
	}
	return nil
}

// existence returns what to do about a missing resource, whose service answers with a Missing, or the error of the call.
func existence[Missing error](err error, property, kind, advice, arn string) error {
	if errors.As(err, new(Missing)) {
		return missing(property, kind, advice, arn)
	}
	if err != nil {
		return fmt.Errorf("%s: look for %s: %w", property, arn, err)
	}
	return nil
}

func missing(property, kind, advice, arn string) error {
	return fmt.Errorf("%s must name %s that exists, got %s: %s", property, kind, arn, advice)
}

// Advice returns what to do about something that no stack of the run has: what it is, and how --stand-in calls its kind.
func Advice(what, kind, name string) string {
	return fmt.Sprintf("run the stack with the %s too (--stack), or let an empty one stand in for it (--stand-in %s=%s)", what, kind, name)
}

// nameIn returns the name at the end of an ARN.
func nameIn(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }

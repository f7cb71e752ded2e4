package eventsource

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Prepare checks what AWS checks when it creates an event source mapping: that the source, the function and the
// queue for failures exist, and that a queue's visibility timeout is at least the function's timeout. Its error joins those
// of all mappings.
// Source: Lambda developer guide, services-sqs-configure, and the errors of CreateEventSourceMapping.
func (s *Service) Prepare(ctx context.Context) error {
	var problems []error
	for _, d := range s.List() {
		if err := s.check(ctx, d); err != nil {
			problems = append(problems, fmt.Errorf("event source mapping %s: %w", d.LogicalID, err))
		}
	}
	return errors.Join(problems...)
}

func (s *Service) check(ctx context.Context, d Description) error {
	var timeout time.Duration
	if s.cfg.Timeout != nil {
		var found bool
		if timeout, found = s.cfg.Timeout(d.FunctionARN); !found {
			return fmt.Errorf("FunctionName must be a function of the stack, got %s", d.FunctionARN)
		}
	}
	if d.StartingPosition != "" { // a stream
		return errors.Join(
			s.cfg.Cloud.RequireExists(ctx, "EventSourceArn", d.SourceARN),
			s.cfg.Cloud.RequireExists(ctx, "DestinationConfig: OnFailure: Destination", d.OnFailure),
		)
	}
	return s.checkQueue(ctx, d, timeout)
}

// checkQueue checks the queue of a mapping, for a function with that timeout.
func (s *Service) checkQueue(ctx context.Context, d Description, timeout time.Duration) error {
	if err := s.cfg.Cloud.RequireExists(ctx, "EventSourceArn", d.SourceARN); err != nil {
		return err
	}
	out, err := s.cfg.Cloud.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(s.cfg.Cloud.QueueURL(d.SourceARN)), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameVisibilityTimeout},
	})
	if err != nil {
		return fmt.Errorf("read the attributes of %s: %w", d.SourceARN, err)
	}
	seconds, err := strconv.Atoi(out.Attributes[string(types.QueueAttributeNameVisibilityTimeout)])
	if visibility := time.Duration(seconds) * time.Second; err == nil && visibility < timeout {
		return fmt.Errorf("the visibility timeout of the queue %s must be at least the function's timeout of %v, got %v", d.SourceARN, timeout, visibility)
	}
	return nil
}

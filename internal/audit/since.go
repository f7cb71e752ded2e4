package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

const (
	// ruleIsActive is how long after the creation of a queue that joins a running outbox its rule counts as not active yet:
	// CloudFormation makes the rule after the queue, and EventBridge needs a moment to act on it. What is written meanwhile may
	// have passed it.
	ruleIsActive = 5 * time.Minute
	// pipeReads is how far back a new pipe is sure to read. The stream keeps records for 24 hours, and the pipe begins some
	// minutes after its creation. Source: DynamoDB developer guide, Streams; EventBridge user guide, eb-pipes-dynamodb.
	pipeReads = 23 * time.Hour
)

// PipeBegan returns when the pipe was created that reads the stream from its oldest record on. It returns the zero time where
// nothing can be said by the pipe: it is gone, it may not be described, or it does not begin at the oldest record.
func PipeBegan(ctx context.Context, client PipeDescriber, name string) (time.Time, error) {
	if name == "" {
		return time.Time{}, nil
	}
	out, err := client.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &name})
	var api smithy.APIError
	if errors.As(err, &api) && slices.Contains([]string{"AccessDeniedException", "NotFoundException"}, api.ErrorCode()) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find out when pipe %s was created: %w", name, err)
	}
	if p := out.SourceParameters; p == nil || p.DynamoDBStreamParameters == nil ||
		p.DynamoDBStreamParameters.StartingPosition != pipetypes.DynamoDBStreamStartPositionTrimHorizon {
		return time.Time{}, nil
	}
	return aws.ToTime(out.CreationTime), nil
}

// beginning returns since when everything that a consumer's pattern matches gets into its queue, and whether that is because
// the consumer joined an outbox whose pipe was already there.
//
// The construct makes the pipe after the rules of all consumers of its deployment, and the pipe reads what is in the stream by
// then. So a queue that is older than the pipe gets everything. That holds for a pipe that was replaced too: the new one reads
// the stream once more.
func beginning(ctx context.Context, queues QueueDescriber, queue string, pipe time.Time, activeAfter time.Duration) (since time.Time, joined bool, err error) {
	if queue == "" {
		return time.Time{}, false, nil
	}
	created, err := queueCreated(ctx, queues, queue)
	if err != nil || created.IsZero() {
		return time.Time{}, false, err
	}
	since = created.Add(activeAfter)
	// The queue's time has whole seconds, rounded down: of the same second, the queue is the older.
	if read := pipe.Add(-pipeReads); !created.After(pipe) && read.Before(since) {
		return read, false, nil
	}
	return since, true, nil
}

// queueCreated returns when a queue was created, the zero time for one that is gone.
func queueCreated(ctx context.Context, queues QueueDescriber, queue string) (time.Time, error) {
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameCreatedTimestamp},
	})
	var gone *types.QueueDoesNotExist
	if errors.As(err, &gone) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find out when %s was created: %w", queue, err)
	}
	created := out.Attributes[string(types.QueueAttributeNameCreatedTimestamp)]
	seconds, err := strconv.ParseInt(created, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("CreatedTimestamp of %s must be a whole number of seconds, got %q", queue, created)
	}
	return time.Unix(seconds, 0), nil
}

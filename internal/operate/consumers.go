package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// withInbox is the value of [description.Consumer.Inbox] for a consumer with an inbox.
const withInbox = "TABLE"

// compile returns those of the outbox's consumers that have an inbox, ready to match events. Its error names each whose
// description cannot be used.
func compile(ctx context.Context, c Clients, o *Outbox, consumers []*Consumer) (audit.Consumers, error) {
	descriptions := make([]description.Consumer, len(consumers))
	for i, one := range consumers {
		descriptions[i] = one.Consumer
	}
	began, err := audit.PipeBegan(ctx, c.Pipes, o.Pipe)
	if err != nil {
		return nil, err
	}
	compiled, unusable, err := audit.Compile(ctx, c.SQS, began, descriptions)
	return compiled, errors.Join(append(unusable, err)...)
}

// placeOf returns the account and the Region of an outbox, as the ARN of one of its queues names them.
// Source: SQS developer guide, "Amazon SQS queue and message identifiers".
func placeOf(ctx context.Context, c Clients, o *Outbox) (audit.Place, error) {
	out, err := c.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &o.PipeDeadLetterQueue, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return audit.Place{}, fmt.Errorf("find out the account and the Region of %s: %w", o.Path, err)
	}
	arn := strings.Split(out.Attributes[string(sqstypes.QueueAttributeNameQueueArn)], ":")
	if len(arn) != 6 {
		return audit.Place{}, fmt.Errorf("the ARN of %s must have six parts, got %q", o.PipeDeadLetterQueue, strings.Join(arn, ":"))
	}
	return audit.Place{Region: arn[3], Account: arn[4]}, nil
}

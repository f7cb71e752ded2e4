package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// checkTopic returns why a topic cannot be the target of a rule.
// Source: EventBridge user guide, eb-targets: SNS FIFO topics are not supported.
func checkTopic(arn, group string) error {
	switch {
	case strings.HasSuffix(arn, ".fifo"):
		return fmt.Errorf("Arn must not be that of a FIFO topic, which a rule cannot send to, got %q", arn)
	case group != "":
		return fmt.Errorf("SqsParameters.MessageGroupId must be empty, because the target is not a FIFO queue, got %q", group)
	}
	return nil
}

// publish sends an event to the topic of a target.
func (d *dispatcher) publish(ctx context.Context, topicARN, body string) *failure {
	err := d.topics().Send(ctx, topicARN, "", body)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cloud.ErrRefused):
		return &failure{codeClientError, true, err}
	}
	return &failure{codeTarget, false, err}
}

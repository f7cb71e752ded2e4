package pipes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A topicTarget sends each record to a topic as a message. What the pipe's role may do is checked when the pipe is made.
type topicTarget struct {
	topics cloud.Topics
	arn    string
	input  input // the body
}

// newTopicTarget returns the target, or why a pipe cannot send to the topic.
// Source: EventBridge user guide, eb-pipes-event-target: SNS FIFO topics are not supported.
func newTopicTarget(topics cloud.Topics, arn string, in input) (*topicTarget, error) {
	if strings.HasSuffix(arn, ".fifo") {
		return nil, fmt.Errorf("Target must not be a FIFO topic, which a pipe cannot send to, got %q", arn)
	}
	return &topicTarget{topics: topics, arn: arn, input: in}, nil
}

// Deliver implements Target. A message that the topic refuses fails alone.
func (t *topicTarget) Deliver(ctx context.Context, records []Record) []error {
	return sendEach(ctx, records, t.body, t.send)
}

func (t *topicTarget) body(r Record, _ int) (string, error) {
	return t.input.render(r), nil
}

func (t *topicTarget) send(ctx context.Context, bodies []string) []error {
	errs := make([]error, len(bodies))
	for i, body := range bodies {
		errs[i] = t.topics.Send(ctx, t.arn, "", body)
		if errs[i] != nil && !errors.Is(errs[i], cloud.ErrRefused) {
			errs[i] = fmt.Errorf("%w: %w", ErrInternal, errs[i])
		}
	}
	return errs
}

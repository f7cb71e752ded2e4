package pipes

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// maxGroupID is the longest group and deduplication id, in characters.
// Source: Pipes API reference, PipeTargetSqsQueueParameters.
const maxGroupID = 100

// A queueTarget sends each record to a queue as a message.
type queueTarget struct {
	client        *sqs.Client
	url           string
	group         parameter
	deduplication parameter
	input         input // the body
}

// queueParameters is TargetParameters.SqsQueueParameters.
type queueParameters struct {
	MessageGroupId         string
	MessageDeduplicationId string
}

func newQueueTarget(client *sqs.Client, url string, p queueParameters, in input) (*queueTarget, error) {
	group, err := compileParameter("MessageGroupId", p.MessageGroupId, maxGroupID)
	deduplication, other := compileParameter("MessageDeduplicationId", p.MessageDeduplicationId, maxGroupID)
	once := sqs.New(client.Options(), func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	t := &queueTarget{client: once, url: url, group: group, deduplication: deduplication, input: in}
	return t, errors.Join(err, other)
}

// Deliver implements Target. A message that the queue refuses fails alone.
func (t *queueTarget) Deliver(ctx context.Context, records []Record) []error {
	return sendEach(ctx, records, t.entry, t.send)
}

func (t *queueTarget) entry(r Record, i int) (types.SendMessageBatchRequestEntry, error) {
	e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i))}
	body := t.input.render(r)
	e.MessageBody = &body
	group, err := t.group.resolve(r)
	if err != nil {
		return e, err
	}
	deduplication, err := t.deduplication.resolve(r)
	if err != nil {
		return e, err
	}
	if group != "" {
		e.MessageGroupId = &group
	}
	if deduplication != "" {
		e.MessageDeduplicationId = &deduplication
	}
	return e, nil
}

func (t *queueTarget) send(ctx context.Context, entries []types.SendMessageBatchRequestEntry) []error {
	out, err := t.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &t.url, Entries: entries})
	if err != nil {
		return errorForEach(classifyError(err), len(entries))
	}
	refused := map[string]error{}
	for _, f := range out.Failed {
		reason := fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
		if !f.SenderFault {
			reason = fmt.Errorf("%w: %w", ErrInternal, reason)
		}
		refused[aws.ToString(f.Id)] = reason
	}
	errs := make([]error, len(entries))
	for i, e := range entries {
		errs[i] = refused[*e.Id]
	}
	return errs
}

package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

const (
	// maxBatch and maxBatchBytes limit one SendMessageBatch. Source: SQS developer guide, quotas-messages.
	maxBatch      = 10
	maxBatchBytes = 1 << 20
	// maxBatches limits the requests to one queue that are under way at the same time.
	maxBatches = 2
)

// An sqsSender sends to SQS. Messages to one queue that wait for a request share the next one, so a busy queue
// receives full batches and an idle one receives its message at once.
type sqsSender struct {
	client *sqs.Client
	url    func(queueARN string) string

	mu     sync.Mutex
	queues map[string]*outgoing
}

// outgoing holds the messages that are still to be sent to one queue.
type outgoing struct {
	waiting []*pendingSend
	batches int // under way
}

// A pendingSend is a message and the channel on which its sender receives the result.
type pendingSend struct {
	message
	ctx  context.Context
	done chan error
}

func newSender(c *cloud.Cloud) *sqsSender {
	return &sqsSender{
		client: c.SQS(),
		url:    c.QueueURL,
		queues: map[string]*outgoing{},
	}
}

func (s *sqsSender) send(ctx context.Context, queueARN string, m message) error {
	p := &pendingSend{message: m, ctx: ctx, done: make(chan error, 1)}
	s.mu.Lock()
	l := s.queues[queueARN]
	if l == nil {
		l = &outgoing{}
		s.queues[queueARN] = l
	}
	l.waiting = append(l.waiting, p)
	if l.batches < maxBatches {
		l.batches++
		go s.sendAll(queueARN, l)
	}
	s.mu.Unlock()
	return <-p.done
}

// sendAll sends batches until no message waits.
func (s *sqsSender) sendAll(queueARN string, l *outgoing) {
	for {
		s.mu.Lock()
		batch := l.nextBatch()
		if len(batch) == 0 {
			l.batches--
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.sendBatch(queueARN, batch)
	}
}

// nextBatch removes and returns as many messages as one request can hold.
func (l *outgoing) nextBatch() []*pendingSend {
	n, bytes := 0, 0
	for n < len(l.waiting) && n < maxBatch {
		bytes += l.waiting[n].size()
		if n > 0 && bytes > maxBatchBytes {
			break
		}
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	if len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch
}

// size returns the message's size in bytes as SQS computes it: the body, and names, types and values of the attributes.
func (m message) size() int {
	size := len(m.body)
	for name, value := range m.attributes {
		size += len(name) + len("String") + len(value)
	}
	return size
}

func (s *sqsSender) sendBatch(queueARN string, batch []*pendingSend) {
	entries := make([]types.SendMessageBatchRequestEntry, len(batch))
	for i, p := range batch {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &p.body}
		if p.group != "" {
			entries[i].MessageGroupId = &p.group
		}
		for name, value := range p.attributes {
			if entries[i].MessageAttributes == nil {
				entries[i].MessageAttributes = map[string]types.MessageAttributeValue{}
			}
			entries[i].MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		}
	}
	// All messages carry the context of the run. The dispatcher retries, not the SDK.
	out, err := s.client.SendMessageBatch(batch[0].ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(s.url(queueARN)), Entries: entries},
		func(o *sqs.Options) { o.RetryMaxAttempts = 1 })
	for i, p := range batch {
		if err != nil {
			p.done <- classify(err)
		} else {
			p.done <- outcome(out, strconv.Itoa(i))
		}
	}
}

// classify returns the failure for an error of SendMessageBatch: permanent when the queue does not exist.
// Source: EventBridge user guide, eb-rule-event-delivery: a missing target is not retried.
func classify(err error) error {
	var missing *types.QueueDoesNotExist
	if errors.As(err, &missing) {
		return &failure{codeNoResource, true, missing}
	}
	var answered smithy.APIError
	if errors.As(err, &answered) {
		return &failure{codeTarget, false, err}
	}
	return &failure{codeConnection, false, err}
}

// outcome returns the error for one message of a batch. A message that the answer does not mention counts as failed.
func outcome(out *sqs.SendMessageBatchOutput, id string) error {
	for _, sent := range out.Successful {
		if aws.ToString(sent.Id) == id {
			return nil
		}
	}
	for _, refused := range out.Failed {
		if aws.ToString(refused.Id) != id {
			continue
		}
		err := fmt.Errorf("%s: %s", aws.ToString(refused.Code), aws.ToString(refused.Message))
		if refused.SenderFault {
			return &failure{codeClientError, true, err}
		}
		return &failure{codeTarget, false, err}
	}
	return &failure{codeTarget, false, errors.New("the answer of SQS does not mention the message")}
}

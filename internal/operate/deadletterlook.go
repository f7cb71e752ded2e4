package operate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

const (
	// lookFor is how long a message is hidden from others while somebody looks through its queue.
	lookFor = 2 * time.Minute
	// emptyLooks is how many receives in a row must bring nothing new before the queue counts as looked through, where SQS counts
	// more messages than were seen.
	emptyLooks = 3
	// batchSize is the most messages of one request. Source: SQS API reference, ReceiveMessage, ChangeMessageVisibilityBatch.
	batchSize = 10
	// looksAtOnce is how many queues are looked through at the same time.
	looksAtOnce = 8
	// giveBackWithin is how long giving messages back may take; then they come up by themselves.
	giveBackWithin = 20 * time.Second
)

// A LookedQueue is how far a dead-letter queue was looked through.
type LookedQueue struct {
	Kind    DeadLetterKind `json:"kind"`
	Queue   string         `json:"queue"`
	Label   string         `json:"label"`
	Looked  int            `json:"looked"`  // messages that were looked at
	Total   int            `json:"total"`   // by SQS's approximate count, those that others have received included
	Matched int            `json:"matched"` // of those looked at
}

// look receives up to limit messages of the queue, calls each for them and makes them visible again. A receive is the only
// way to see a message; it counts as one, which means nothing in a queue that has no dead-letter queue itself.
func look(ctx context.Context, queues SQS, q *DeadLetterQueue, limit int, each func(*DeadLetterMessage)) (LookedQueue, error) {
	looked := LookedQueue{Kind: q.Kind, Queue: queueName(q.URL), Label: q.Label()}
	total, err := countMessages(ctx, queues, q.URL)
	if err != nil {
		return looked, fmt.Errorf("count the messages of %s: %w", looked.Queue, err)
	}
	looked.Total = total
	var handles []*string
	defer func() { giveBack(ctx, queues, q.URL, handles) }()
	seen := map[string]bool{}
	for empty := 0; empty < emptyLooks && len(seen) < limit; {
		messages, err := receive(ctx, queues, q.URL)
		if err != nil {
			return looked, fmt.Errorf("look into %s: %w", looked.Queue, err)
		}
		empty++
		for _, m := range messages {
			handles = append(handles, m.ReceiptHandle)
			if id := aws.ToString(m.MessageId); !seen[id] {
				seen[id] = true
				empty = 0
				each(q.read(m))
			}
		}
		if empty > 0 && len(seen) >= total {
			break
		}
	}
	looked.Looked, looked.Total = len(seen), max(total, len(seen))
	return looked, nil
}

func receive(ctx context.Context, queues SQS, url string) ([]types.Message, error) {
	out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: batchSize, VisibilityTimeout: int32(lookFor / time.Second),
		WaitTimeSeconds:             1, // asks all of SQS's servers
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// giveBack makes messages visible again, also when the look was interrupted. What SQS refuses comes up by itself.
func giveBack(ctx context.Context, queues SQS, url string, handles []*string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWithin)
	defer cancel()
	var all errgroup.Group
	all.SetLimit(looksAtOnce)
	for len(handles) > 0 {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
		for n, handle := range handles[:min(batchSize, len(handles))] {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: handle})
		}
		handles = handles[len(in.Entries):]
		all.Go(func() error {
			_, _ = queues.ChangeMessageVisibilityBatch(ctx, in)
			return nil
		})
	}
	_ = all.Wait()
}

// countMessages returns SQS's approximate count of a queue's messages, whoever has them.
func countMessages(ctx context.Context, queues SQS, url string) (total int, err error) {
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}})
	if err != nil {
		return 0, err
	}
	for name, value := range out.Attributes {
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("queue attribute %s must be a whole number, got %q", name, value)
		}
		total += n
	}
	return total, nil
}

package redrive

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// A held message is one that the redrive has received and not deleted.
type held struct {
	handle *string
	until  time.Time // when it comes up again by itself
}

func (q *queueRedrive) hold(m types.Message) {
	q.held[aws.ToString(m.MessageId)] = held{m.ReceiptHandle, time.Now().Add(q.hideFor())}
}

const (
	giveBackAtOnce = 16               // requests at the same time
	giveBackWithin = 20 * time.Second // then the rest comes up by itself
)

// giveBack makes what stays visible again, so that an interrupted redrive can go on at once. What SQS refuses comes up by
// itself.
func (q *queueRedrive) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWithin)
	defer cancel()
	var all errgroup.Group
	all.SetLimit(giveBackAtOnce)
	for _, message := range q.held {
		if time.Now().After(message.until) {
			continue
		}
		all.Go(func() error {
			_, _ = q.clients.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &q.queue, ReceiptHandle: message.handle, VisibilityTimeout: 0,
			})
			return nil
		})
	}
	_ = all.Wait()
}

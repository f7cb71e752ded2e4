package redrive

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// hiding keeps messages hidden from other receivers, who would redrive them a second time.
type hiding struct {
	*queueRedrive
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	messages map[*string]bool // by receipt handle
}

// keepHidden hides the messages again before they come up, until each is released.
func (q *queueRedrive) keepHidden(ctx context.Context, messages []types.Message) *hiding {
	ctx, cancel := context.WithCancel(ctx)
	h := &hiding{queueRedrive: q, cancel: cancel, ended: make(chan struct{}), messages: map[*string]bool{}}
	for _, m := range messages {
		h.messages[m.ReceiptHandle] = true
	}
	if q.selection.InOrder { // they are hidden for longer
		close(h.ended)
		return h
	}
	go func() {
		defer close(h.ended)
		again := time.NewTicker(hideFor / 3)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
				h.extend(ctx)
			}
		}
	}()
	return h
}

// extend hides what is not released yet. Where SQS refuses, the message may come up and be redriven twice, which is
// what at-least-once delivery allows.
func (h *hiding) extend(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for handle := range h.messages {
		_, _ = h.clients.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &h.queue, ReceiptHandle: handle, VisibilityTimeout: seconds(hideFor),
		})
	}
}

func (h *hiding) release(m types.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.messages, m.ReceiptHandle)
}

func (h *hiding) stop() {
	h.cancel()
	<-h.ended
}

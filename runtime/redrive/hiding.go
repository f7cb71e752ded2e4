package redrive

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// hiding keeps messages hidden from other receivers, who would redrive them a second time.
type hiding struct {
	*queueRedrive
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	messages map[*string]bool      // by receipt handle
	until    map[*string]time.Time // when those come up that were hidden again
}

// keepHidden hides the messages again before they come up, until each is released.
func (q *queueRedrive) keepHidden(ctx context.Context, messages []types.Message) *hiding {
	ctx, cancel := context.WithCancel(ctx)
	h := &hiding{queueRedrive: q, cancel: cancel, ended: make(chan struct{}), messages: map[*string]bool{}, until: map[*string]time.Time{}}
	for _, m := range messages {
		h.messages[m.ReceiptHandle] = true
	}
	go func() {
		defer close(h.ended)
		again := time.NewTicker(q.hideFor() / 3)
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

// extendAtOnce is how many messages are hidden again at the same time: a redrive in order may hold 10,000.
const extendAtOnce = 16

// extend hides what is not released yet. Where SQS refuses, the message may come up and be redriven twice, which is
// what at-least-once delivery allows.
func (h *hiding) extend(ctx context.Context) {
	var all errgroup.Group
	all.SetLimit(extendAtOnce)
	for _, handle := range h.unreleased() {
		all.Go(func() error {
			h.extendOne(ctx, handle)
			return nil
		})
	}
	_ = all.Wait()
}

func (h *hiding) unreleased() []*string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.messages))
}

func (h *hiding) extendOne(ctx context.Context, handle *string) {
	h.mu.Lock()
	wanted := h.messages[handle]
	h.mu.Unlock()
	if !wanted || ctx.Err() != nil {
		return
	}
	until := time.Now().Add(h.hideFor())
	_, err := h.clients.SQS.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &h.queue, ReceiptHandle: handle, VisibilityTimeout: seconds(h.hideFor()),
	})
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[handle] = until
}

func (h *hiding) release(m types.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.messages, m.ReceiptHandle)
}

// stop ends the hiding, and notes for how long those are hidden that stay: they are given back when the redrive ends.
func (h *hiding) stop() {
	h.cancel()
	<-h.ended
	for id, one := range h.held {
		if until, ok := h.until[one.handle]; ok {
			h.held[id] = held{one.handle, until}
		}
	}
}

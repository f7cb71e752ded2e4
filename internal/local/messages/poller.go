package messages

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// DefaultConcurrency is how many batches AWS has under way when it begins to read a queue. AWS adds more under load;
	// the local run does not.
	// Source: Lambda developer guide, services-sqs-scaling; EventBridge user guide, eb-pipes-sqs, "Scaling and processing".
	DefaultConcurrency = 5
	// The wait after a receive that failed doubles between these two.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// deleteGrace is how long the deletion of handled messages may continue after ctx is done.
	deleteGrace = 500 * time.Millisecond
)

// A Poller receives the messages of one queue.
type Poller struct {
	Queue     Queue
	SourceARN string // of the queue
	Region    string
	BatchSize int           // maximum number of messages in one batch; at least 1
	Window    time.Duration // how long to wait for a full batch; 0: not at all
	// Concurrency is the maximum number of batches under way at the same time; at least 1.
	Concurrency int
	// Filter reports whether to handle a record; nil handles every record. A message that is not handled is deleted.
	Filter func(record json.RawMessage) bool
	// Handle handles a batch, which is not empty, and deletes with [Poller.Delete] what need not come again.
	Handle func(ctx context.Context, batch Batch)
}

// Run receives and handles messages until ctx is done and every worker has returned.
func (p *Poller) Run(ctx context.Context) {
	turn := make(chan struct{}, 1) // the worker that holds the token receives from the queue
	turn <- struct{}{}
	var workers sync.WaitGroup
	for range p.Concurrency {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-turn:
				}
				batch := p.collect(ctx)
				turn <- struct{}{}
				p.handle(ctx, batch)
			}
		})
	}
	workers.Wait()
}

// collect receives one batch. Without a batching window it returns the messages of one receive, else it receives until
// the batch is full, has the size of a payload, or the window has passed since the first message. A batch is empty
// only when ctx is done.
// Source: Lambda developer guide, invocation-eventsourcemapping, "Batching behavior".
func (p *Poller) collect(ctx context.Context) []types.Message {
	var batch []types.Message
	for len(batch) == 0 && ctx.Err() == nil {
		batch = p.receive(ctx, p.BatchSize, longPoll)
	}
	// SQS waits whole seconds, so a window is exact to half a second.
	for end := time.Now().Add(p.Window); len(batch) < p.BatchSize && size(batch) < MaxPayload && ctx.Err() == nil; {
		wait := time.Until(end).Round(time.Second)
		if wait <= 0 {
			break
		}
		batch = append(batch, p.receive(ctx, p.BatchSize-len(batch), min(wait, longPoll))...)
	}
	return batch
}

// receive receives from the queue and retries until that works or ctx is done.
func (p *Poller) receive(ctx context.Context, limit int, wait time.Duration) []types.Message {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		messages, err := p.Queue.Receive(ctx, min(limit, maxReceive), wait)
		if err == nil {
			return messages
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// handle handles the messages that pass the filter and deletes the others.
func (p *Poller) handle(ctx context.Context, received []types.Message) {
	var matching, filtered Batch
	for _, m := range received {
		part, record := &matching, encode(m, p.SourceARN, p.Region)
		if p.Filter != nil && !p.Filter(record) {
			part = &filtered
		}
		part.add(m, record)
	}
	// A message that cannot be deleted is received and filtered again.
	_ = p.Delete(ctx, filtered.Messages)
	for _, batch := range matching.split() {
		p.Handle(ctx, batch)
	}
}

// Delete deletes messages, also when ctx is done meanwhile: they are handled.
func (p *Poller) Delete(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(deleteGrace):
			cancel()
		case <-lasting.Done():
		}
	})()
	return p.Queue.Delete(lasting, messages)
}

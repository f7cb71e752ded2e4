package eventsource

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

const (
	// maxReceive limits the messages that one receive returns. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// longPoll is the longest wait that SQS allows. Source: the same.
	longPoll = 20 * time.Second
	// The wait after a receive that failed doubles between these two.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// deleteGrace is how long the deletion of handled messages may continue after ctx is done.
	deleteGrace = 500 * time.Millisecond
)

// A Queue is the part of SQS that an event source mapping uses.
type Queue interface {
	// Receive returns up to limit messages, at most 10, as soon as there are any, and none after wait,
	// which is a whole number of seconds from 1.
	Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error)
	// Delete deletes messages that were received.
	Delete(ctx context.Context, messages []types.Message) error
}

// A poller is one event source mapping.
type poller struct {
	logicalID           string
	sourceARN           string
	region              string
	functionARN         string
	batchSize           int
	window              time.Duration
	concurrency         int
	reportsItemFailures bool // ReportBatchItemFailures
	filters             []*pattern.Pattern

	queue    Queue
	invoke   func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	received func(body json.RawMessage) // nil: nobody asks
	alone    func(functionARN string, body json.RawMessage) bool
	sink     hop.Sink

	result
}

// run polls the queue and invokes the function until ctx is done and every worker has returned. Its error is nil.
func (p *poller) run(ctx context.Context) error {
	turn := make(chan struct{}, 1) // the worker that holds the token receives from the queue
	turn <- struct{}{}
	var workers sync.WaitGroup
	for range p.concurrency {
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
	return nil
}

// collect receives one batch. Without a batching window it returns the messages of one receive, else it receives until
// the batch is full, has the size of a payload, or the window has passed since the first message. A batch is empty
// only when ctx is done.
// Source: Lambda developer guide, invocation-eventsourcemapping, "Batching behavior".
func (p *poller) collect(ctx context.Context) []types.Message {
	var batch []types.Message
	for len(batch) == 0 && ctx.Err() == nil {
		batch = p.receive(ctx, p.batchSize, longPoll)
	}
	// SQS waits whole seconds, so a window is exact to half a second.
	for end := time.Now().Add(p.window); len(batch) < p.batchSize && size(batch) < maxPayload && ctx.Err() == nil; {
		wait := time.Until(end).Round(time.Second)
		if wait <= 0 {
			break
		}
		batch = append(batch, p.receive(ctx, p.batchSize-len(batch), min(wait, longPoll))...)
	}
	return batch
}

// receive receives from the queue and retries until that works or ctx is done.
func (p *poller) receive(ctx context.Context, limit int, wait time.Duration) []types.Message {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		messages, err := p.queue.Receive(ctx, min(limit, maxReceive), wait)
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

// handle invokes the function with the messages that match the filters and deletes the others.
func (p *poller) handle(ctx context.Context, batch []types.Message) {
	var matching, filtered []types.Message
	for _, message := range batch {
		if p.matches(message) {
			matching = append(matching, message)
		} else {
			filtered = append(filtered, message)
		}
	}
	// A message that cannot be deleted is received and filtered again.
	_ = p.delete(ctx, filtered)
	together, alone := p.separate(matching)
	for _, m := range alone {
		p.deliver(ctx, split([]types.Message{m}, p.sourceARN, p.region)[0])
	}
	for _, batch := range split(together, p.sourceARN, p.region) {
		p.deliver(ctx, batch)
	}
}

// separate returns the messages with which the function is invoked together, and those with which it is invoked alone.
func (p *poller) separate(messages []types.Message) (together, alone []types.Message) {
	if p.alone == nil || strings.HasSuffix(p.sourceARN, ".fifo") {
		return messages, nil
	}
	for _, m := range messages {
		if p.alone(p.functionARN, json.RawMessage(deref(m.Body))) {
			alone = append(alone, m)
		} else {
			together = append(together, m)
		}
	}
	return together, alone
}

// deliver invokes the function with one payload and deletes the messages that it handled.
func (p *poller) deliver(ctx context.Context, batch payload) {
	if p.received != nil {
		for _, m := range batch.messages {
			p.received(json.RawMessage(deref(m.Body)))
		}
	}
	started, ids := time.Now(), eventIDs(batch.messages)
	response, err := p.invoke(hop.WithCause(ctx, hop.Cause{Source: p.sourceARN, EventIDs: ids}), p.functionARN, batch.encode())
	elapsed := time.Since(started)
	if err != nil && ctx.Err() != nil {
		return // the run ends: not a failure of the function
	}
	done, failed, reason := batch.messages, []types.Message(nil), ""
	switch {
	case err != nil:
		done, failed, reason = nil, batch.messages, err.Error()
	case p.reportsItemFailures:
		done, failed, reason = divideByResponse(response, batch.messages)
	}
	h := hop.Hop{
		At: time.Now(), Stage: hop.Queue, Resource: p.logicalID, Source: p.sourceARN, Target: p.functionARN, Outcome: hop.OK,
		Latency: elapsed, Count: len(batch.messages), EventIDs: ids,
	}
	if err := p.delete(ctx, done); err != nil {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("handled, but not deleted: %v", err)
	}
	if len(failed) > 0 {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("%d of %d failed: %s", len(failed), len(batch.messages), reason)
		if len(done) > 0 {
			h.FailedIDs = eventIDs(failed)
		}
	}
	p.set(len(failed) > 0)
	p.sink(h)
}

// delete deletes the messages, also when ctx is done meanwhile: the function has handled them.
func (p *poller) delete(ctx context.Context, messages []types.Message) error {
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
	return p.queue.Delete(lasting, messages)
}

// matches reports whether the message matches one of the filters, or there is none. A body that is a JSON object is
// filtered as such, any other as a string. Source: Lambda developer guide, with-sqs-filtering, "Properly filtering Amazon SQS messages".
func (p *poller) matches(message types.Message) bool {
	if len(p.filters) == 0 {
		return true
	}
	body := json.RawMessage(*message.Body)
	if !strings.HasPrefix(strings.TrimSpace(*message.Body), "{") || !json.Valid(body) {
		body, _ = json.Marshal(*message.Body)
	}
	record, _ := json.Marshal(map[string]json.RawMessage{"body": body})
	for _, filter := range p.filters {
		if matched, err := filter.MatchJSON(record); err == nil && matched {
			return true
		}
	}
	return false
}

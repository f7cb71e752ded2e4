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
	"github.com/outboxkit/transactional-outbox/internal/local/pattern"
)

const (
	// maxReceive is the most messages that one receive returns. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// longPoll is the longest wait that SQS offers. Source: the same.
	longPoll = 20 * time.Second
	// The wait after a receive that failed doubles between these two.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
	// deleteGrace is how long the deletion of handled messages may go on after the run was told to stop.
	deleteGrace = 500 * time.Millisecond
)

// Queue is what a mapping needs of SQS.
type Queue interface {
	// Receive returns up to limit messages, at most 10, as soon as there are any, and none after wait.
	// A wait has whole seconds, at least one.
	Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error)
	// Delete removes messages that were received.
	Delete(ctx context.Context, messages []types.Message) error
}

// mapping is one event source mapping.
type mapping struct {
	logicalID   string
	sourceARN   string
	region      string
	functionARN string
	batchSize   int
	window      time.Duration
	concurrency int
	partial     bool // ReportBatchItemFailures
	filters     []*pattern.Pattern

	queue  Queue
	invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	sink   hop.Sink
}

// run polls and invokes until ctx is done and every worker has returned.
func (m *mapping) run(ctx context.Context) {
	turn := make(chan struct{}, 1) // to receive from the queue
	turn <- struct{}{}
	var workers sync.WaitGroup
	for range m.concurrency {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-turn:
				}
				batch := m.collect(ctx)
				turn <- struct{}{}
				m.handle(ctx, batch)
			}
		})
	}
	workers.Wait()
}

// collect receives one batch: what is there when no window is set, else until the batch is full, has the
// size of a payload, or the window is over. The window starts with the first message. A batch is empty only when ctx is done.
// Source: Lambda developer guide, invocation-eventsourcemapping, "Batching behavior".
func (m *mapping) collect(ctx context.Context) []types.Message {
	var batch []types.Message
	for len(batch) == 0 && ctx.Err() == nil {
		batch = m.receive(ctx, m.batchSize, longPoll)
	}
	// SQS waits whole seconds, so a window is kept to half a second.
	for end := time.Now().Add(m.window); len(batch) < m.batchSize && size(batch) < maxPayload && ctx.Err() == nil; {
		wait := time.Until(end).Round(time.Second)
		if wait <= 0 {
			break
		}
		batch = append(batch, m.receive(ctx, m.batchSize-len(batch), min(wait, longPoll))...)
	}
	return batch
}

// receive receives from the queue, and tries again until that works or ctx is done.
func (m *mapping) receive(ctx context.Context, limit int, wait time.Duration) []types.Message {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		messages, err := m.queue.Receive(ctx, min(limit, maxReceive), wait)
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

// handle invokes the function with the messages that pass the filter and forgets the others.
func (m *mapping) handle(ctx context.Context, batch []types.Message) {
	var wanted, unwanted []types.Message
	for _, message := range batch {
		if m.wants(message) {
			wanted = append(wanted, message)
		} else {
			unwanted = append(unwanted, message)
		}
	}
	// A message that cannot be deleted comes back and is filtered once more.
	_ = m.delete(ctx, unwanted)
	for _, part := range split(wanted, m.sourceARN, m.region) {
		m.deliver(ctx, part)
	}
}

// deliver invokes the function with one payload and deletes what it has done.
func (m *mapping) deliver(ctx context.Context, p payload) {
	started := time.Now()
	response, err := m.invoke(ctx, m.functionARN, p.encode())
	elapsed := time.Since(started)
	if err != nil && ctx.Err() != nil {
		return // told to stop: not the function's failure
	}
	done, failed, reason := p.messages, []types.Message(nil), ""
	switch {
	case err != nil:
		done, failed, reason = nil, p.messages, err.Error()
	case m.partial:
		done, failed, reason = judge(response, p.messages)
	}
	h := hop.Hop{
		At: time.Now(), Stage: hop.Queue, Resource: m.logicalID, Target: m.functionARN, Outcome: hop.OK,
		Latency: elapsed, Count: len(p.messages), EventIDs: eventIDs(p.messages),
	}
	if err := m.delete(ctx, done); err != nil {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("handled, but not deleted: %v", err)
	}
	if len(failed) > 0 {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("%d of %d failed: %s", len(failed), len(p.messages), reason)
	}
	m.sink(h)
}

// delete deletes also when the run is being stopped meanwhile: the function's work is done.
func (m *mapping) delete(ctx context.Context, messages []types.Message) error {
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
	return m.queue.Delete(lasting, messages)
}

// wants says whether the message passes one of the filters. A body that is a JSON object is filtered as such,
// any other as a string. Source: Lambda developer guide, with-sqs-filtering, "Properly filtering Amazon SQS messages".
func (m *mapping) wants(message types.Message) bool {
	if len(m.filters) == 0 {
		return true
	}
	body := json.RawMessage(*message.Body)
	if !strings.HasPrefix(strings.TrimSpace(*message.Body), "{") || !json.Valid(body) {
		body, _ = json.Marshal(*message.Body)
	}
	record, _ := json.Marshal(map[string]json.RawMessage{"body": body})
	for _, filter := range m.filters {
		if matched, err := filter.MatchJSON(record); err == nil && matched {
			return true
		}
	}
	return false
}

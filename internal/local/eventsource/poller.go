package eventsource

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// A poller is one event source mapping of a queue.
type poller struct {
	messages.Poller
	logicalID           string
	functionARN         string
	reportsItemFailures bool // ReportBatchItemFailures
	filters             []*pattern.Pattern

	invoke   func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	received func(body json.RawMessage) // nil: nobody asks
	alone    func(functionARN string, body json.RawMessage) bool
	sink     hop.Sink

	result
}

// run polls the queue and invokes the function until ctx is done and every worker has returned. Its error is nil.
func (p *poller) run(ctx context.Context) error {
	p.Handle = p.handle
	if len(p.filters) > 0 {
		p.Filter = p.matches
	}
	p.Run(ctx)
	return nil
}

// handle invokes the function with a batch: with each message that it must receive alone, then with the others.
func (p *poller) handle(ctx context.Context, batch messages.Batch) {
	together, alone := p.separate(batch)
	for _, one := range alone {
		p.deliver(ctx, one)
	}
	if len(together.Messages) > 0 {
		p.deliver(ctx, together)
	}
}

// separate returns the messages with which the function is invoked together, and those with which it is invoked alone.
func (p *poller) separate(batch messages.Batch) (together messages.Batch, alone []messages.Batch) {
	if p.alone == nil || strings.HasSuffix(p.SourceARN, ".fifo") {
		return batch, nil
	}
	for i, m := range batch.Messages {
		if p.alone(p.functionARN, json.RawMessage(aws.ToString(m.Body))) {
			alone = append(alone, messages.Batch{Messages: batch.Messages[i : i+1], Records: batch.Records[i : i+1]})
			continue
		}
		together.Messages, together.Records = append(together.Messages, m), append(together.Records, batch.Records[i])
	}
	return together, alone
}

// deliver invokes the function with one payload and deletes the messages that it handled.
func (p *poller) deliver(ctx context.Context, batch messages.Batch) {
	if p.received != nil {
		for _, m := range batch.Messages {
			p.received(json.RawMessage(aws.ToString(m.Body)))
		}
	}
	started, ids := time.Now(), messages.EventIDs(batch.Messages)
	response, err := p.invoke(hop.WithCause(ctx, hop.Cause{Source: p.SourceARN, EventIDs: ids}), p.functionARN, payload(batch.Records))
	elapsed := time.Since(started)
	if err != nil && ctx.Err() != nil {
		return // the run ends: not a failure of the function
	}
	done, failed, reason := batch.Messages, []types.Message(nil), ""
	switch {
	case err != nil:
		done, failed, reason = nil, batch.Messages, err.Error()
	case p.reportsItemFailures:
		done, failed, reason = divideByResponse(response, batch.Messages)
	}
	h := hop.Hop{
		At: time.Now(), Stage: hop.Queue, Resource: p.logicalID, Source: p.SourceARN, Target: p.functionARN, Outcome: hop.OK,
		Latency: elapsed, Count: len(batch.Messages), EventIDs: ids,
	}
	if err := p.Delete(ctx, done); err != nil {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("handled, but not deleted: %v", err)
	}
	if len(failed) > 0 {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("%d of %d failed: %s", len(failed), len(batch.Messages), reason)
		if len(done) > 0 {
			h.FailedIDs = messages.EventIDs(failed)
		}
	}
	p.set(len(failed) > 0)
	p.sink(h)
}

// matches reports whether a record matches one of the filters. A body that is JSON is filtered as such, any other as a string.
// Source: Lambda developer guide, with-sqs-filtering, "Properly filtering Amazon SQS messages".
func (p *poller) matches(record json.RawMessage) bool {
	event, err := jsontext.Decode(record)
	return err == nil && matchesAny(p.filters, messages.ParseBody(event))
}

// matchesAny reports whether a record matches one of the filters.
func matchesAny(filters []*pattern.Pattern, record any) bool {
	event, err := pattern.Decode([]byte(jsontext.Compact(record)))
	if err != nil {
		return false // a record is always a JSON object
	}
	for _, filter := range filters {
		if filter.Match(event) {
			return true
		}
	}
	return false
}

const (
	prologue = `{"Records":[`
	epilogue = `]}`
)

// payload returns the event with which a function is invoked.
// Source: Lambda developer guide, with-sqs, "Example Amazon SQS event"; with-ddb, "Example DynamoDB Streams record event".
func payload(records []json.RawMessage) []byte {
	parts := make([][]byte, len(records))
	for i, record := range records {
		parts[i] = record
	}
	event := append([]byte(prologue), bytes.Join(parts, []byte(","))...)
	return append(event, epilogue...)
}

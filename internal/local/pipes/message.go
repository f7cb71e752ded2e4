package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
)

// runQueue moves messages until ctx is done. What the target accepts is deleted. Everything else becomes visible again
// after the queue's visibility timeout, until its redrive policy moves it to its dead-letter queue.
// Source: EventBridge user guide, eb-pipes-sqs.
func (p *Pipe) runQueue(ctx context.Context) {
	poller := messages.Poller{
		Queue: p.Queue, SourceARN: p.SourceARN, Region: p.Region,
		BatchSize: p.BatchSize, Window: p.Window, Concurrency: messages.DefaultConcurrency,
		Filter: func(record json.RawMessage) bool { return p.Filter == nil || p.Filter(messageRecord(record)) },
	}
	poller.Handle = func(ctx context.Context, batch messages.Batch) { p.deliverMessages(ctx, &poller, batch) }
	poller.Run(ctx)
}

// deliverMessages sends a batch to the target and deletes the messages that it accepts.
func (p *Pipe) deliverMessages(ctx context.Context, poller *messages.Poller, batch messages.Batch) {
	items := make([]*item, len(batch.Records))
	for i, record := range batch.Records {
		items[i] = &item{Record: messageRecord(record), position: i}
	}
	started := time.Now()
	accepted, failed := separate(items, p.execute(ctx, records(items)))
	if len(accepted) > 0 {
		h := hop.Hop{Outcome: hop.OK, Target: p.TargetARN, Latency: time.Since(started)}
		done := messages.Batch{}
		for _, it := range accepted {
			done.Messages = append(done.Messages, batch.Messages[it.position])
		}
		if err := poller.Delete(ctx, done.Messages); err != nil {
			h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("accepted, but not deleted: %v", err)
		}
		p.reportItems(accepted, h)
	}
	if len(failed) > 0 && ctx.Err() == nil { // else the run ends: not a failure
		detail := fmt.Sprintf("%d of %d failed: %v", len(failed), len(items), failed[0].err)
		p.reportItems(failed, hop.Hop{Outcome: hop.Retry, Target: p.TargetARN, Latency: time.Since(started), Detail: detail})
	}
}

// messageRecord returns a message as the filter and the target see it.
func messageRecord(encoded json.RawMessage) Record {
	value, _ := jsontext.Decode(encoded) // a record is always JSON
	r := Record{Event: value}
	fields, _ := messages.ParseBody(value).(map[string]any)
	body, _ := fields["body"].(map[string]any)
	text, _ := value.(map[string]any)["body"].(string)
	r.SequenceNumber, _ = fields["messageId"].(string)
	r.ID = hop.EventID([]byte(text))
	r.Source, _ = body["source"].(string)
	return r
}

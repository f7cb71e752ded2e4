package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/emf"
)

// A response names the first record that must come again, with all behind it.
// Source: Lambda developer guide, "Configuring partial batch response with DynamoDB and Lambda".
type response struct {
	BatchItemFailures []failure `json:"batchItemFailures"`
}

type failure struct {
	ItemIdentifier string `json:"itemIdentifier"` // a sequence number
}

// collect notes which effects the events of a batch should have, in the pending queue. A record that cannot be read is
// skipped, because it would block the shard, and reported: it is counted, and the dead-letter queue names it, whose alarm
// somebody sees. Where AWS fails, the batch fails from there on.
func (a *auditor) collect(ctx context.Context, records []json.RawMessage) (response, error) {
	settings, consumers, unusable, err := a.catalog.load(ctx)
	if err != nil {
		return response{}, err
	}
	for _, problem := range unusable {
		a.logger.Error("a consumer's events are not audited", "error", problem)
	}
	confirmWithin, err := confirmWithin(settings.Outbox)
	if err != nil {
		return response{}, err
	}
	c := collector{auditor: a, settings: settings, consumers: consumers, confirmWithin: confirmWithin}
	c.begin("")
	for _, raw := range records {
		if err := c.add(ctx, raw); err != nil {
			return c.failed(ctx, err), nil
		}
	}
	if err := c.send(ctx); err != nil {
		return c.failed(ctx, err), nil
	}
	c.report(ctx, c.unreadable)
	return response{BatchItemFailures: []failure{}}, nil
}

// confirmWithin returns how long effects may take.
func confirmWithin(outbox description.Outbox) (time.Duration, error) {
	if outbox.Audit == nil {
		return 0, fmt.Errorf("the description of outbox %s must have an audit, got none", outbox.Path)
	}
	return description.Seconds(outbox.Audit.ConfirmWithinSeconds)
}

// A collector makes chunks of the events of a batch.
type collector struct {
	*auditor
	settings      audit.Settings
	consumers     audit.Consumers
	confirmWithin time.Duration

	chunk  chunk
	size   int
	first  string    // sequence number of the chunk's first event
	newest time.Time // when the chunk's newest event was written

	unreadable []unreadable
	before     int // how many of them come before the chunk's first event
}

// unreadable is a record of the stream that looks like an event and cannot be read.
type unreadable struct {
	SequenceNumber string `json:"sequenceNumber"`
	Reason         string `json:"reason"`
}

func (c *collector) begin(sequenceNumber string) {
	c.chunk = chunk{Layout: chunkLayout, Source: c.settings.Outbox.Source}
	c.size, c.first, c.newest = sizeOf(c.chunk), sequenceNumber, time.Time{}
}

// add adds the event of a record to the chunk, and sends the chunk before where it is full.
func (c *collector) add(ctx context.Context, raw json.RawMessage) error {
	r, err := parseRecord(raw)
	if err != nil {
		c.skip(r, err)
		return nil
	}
	if !r.isEvent(c.settings.Outbox.Source) {
		return nil
	}
	item := r.item()
	event, err := r.event(item)
	var matched []*audit.Consumer
	if err == nil {
		matched, err = c.consumers.Match(r.place(), item, event.WrittenAt)
	}
	if err != nil {
		c.skip(r, err)
		return nil
	}
	if len(matched) == 0 {
		return nil
	}
	if !c.chunk.add(event, matched, &c.size) {
		if err := c.send(ctx); err != nil {
			return err
		}
		c.begin(event.SequenceNumber)
		c.chunk.add(event, matched, &c.size) // an empty chunk has room
	}
	if len(c.chunk.Events) == 1 {
		c.first, c.before = event.SequenceNumber, len(c.unreadable)
	}
	if event.WrittenAt.After(c.newest) {
		c.newest = event.WrittenAt
	}
	return nil
}

func (c *collector) skip(r streamRecord, reason error) {
	c.unreadable = append(c.unreadable, unreadable{r.Change.SequenceNumber, fmt.Sprintf("%.200v", reason)})
	c.logger.Error("a record of the stream looks like an event and cannot be read", "sequenceNumber", r.Change.SequenceNumber, "error", reason)
}

// longestDelay is the longest DelaySeconds. Source: SQS API reference, SendMessage.
const longestDelay = 15 * time.Minute

// send puts the chunk into the pending queue, to come when it is due or as near to that as SQS can.
func (c *collector) send(ctx context.Context) error {
	if len(c.chunk.Events) == 0 {
		return nil
	}
	// By the time of the write, so that the time that a batch takes to be full is none of that which effects may take.
	wait := max(0, min(c.confirmWithin, time.Until(c.newest.Add(c.confirmWithin))))
	c.chunk.DueAt = time.Now().Add(wait)
	body, err := json.Marshal(c.chunk)
	if err != nil {
		return fmt.Errorf("encode a pending message: %w", err)
	}
	_, err = c.queues.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &c.settings.Outbox.Audit.Pending, MessageBody: aws.String(audit.TextForSQS(body)),
		DelaySeconds: int32(min(longestDelay, wait) / time.Second),
	})
	if err != nil {
		return fmt.Errorf("put events into the pending queue: %w", err)
	}
	return nil
}

// failed makes the batch come again from the first event that is in no chunk that was sent.
func (c *collector) failed(ctx context.Context, err error) response {
	c.logger.Error("the batch comes again from here", "sequenceNumber", c.first, "error", err)
	c.report(ctx, c.unreadable[:c.before]) // what is behind it comes again
	return response{BatchItemFailures: []failure{{c.first}}}
}

// mostReported is how many records a dead-letter message names: 100 are far less than a message may have.
const mostReported = 100

// report emits how many records could not be read, where there were any, and puts a message that names them into the dead-letter
// queue. Where that fails, the metric and the log are left.
func (c *collector) report(ctx context.Context, records []unreadable) {
	if len(records) == 0 {
		return
	}
	c.emit(c.settings.Outbox, emf.Metric{Name: audit.MetricUnreadable, Unit: emf.Count, Values: []int64{int64(len(records))}})
	body, err := json.Marshal(struct {
		Condition string       `json:"condition"`
		Records   int          `json:"records"`
		First     []unreadable `json:"unreadable"`
	}{"Unreadable", len(records), records[:min(mostReported, len(records))]})
	if err == nil {
		_, err = c.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &c.settings.Outbox.Audit.DeadLetterQueue, MessageBody: aws.String(audit.TextForSQS(body))})
	}
	if err != nil {
		c.logger.Error("the records that cannot be read are in no dead-letter message", "records", len(records), "error", err)
	}
}

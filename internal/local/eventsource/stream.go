package eventsource

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// retryLast is the longest wait between two invocations with the same records.
const retryLast = 10 * time.Second

// A streamMapping is an event source mapping of a DynamoDB stream.
type streamMapping struct {
	Description // without state
	filters     []*pattern.Pattern

	stream      streams.Stream
	checkpoints streams.Checkpoints
	failures    failureQueue // used only with OnFailure
	invoke      func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	sink        hop.Sink
	clock       *clock.Clock

	windows *windows // while it runs; nil without tumbling windows

	result
}

func (s *Service) newStreamMapping(d Description, filters []*pattern.Pattern) *streamMapping {
	role := s.cfg.Cloud.AssumeFunction(d.FunctionARN)
	return &streamMapping{
		Description: d, filters: filters,
		stream:      streams.New(role.Streams(), d.SourceARN, s.cfg.Cloud.Region),
		checkpoints: streams.NewCheckpoints(s.cfg.DB, "event source mapping "+d.UUID, d.SourceARN),
		failures:    &sqsFailures{client: role.SQS(), url: s.cfg.Cloud.QueueURL(d.OnFailure)},
		invoke:      s.cfg.Invoke,
		sink:        s.cfg.Sink,
		clock:       s.cfg.Clock,
	}
}

// run implements source.
func (m *streamMapping) run(ctx context.Context) error {
	r := streams.Reader{
		Latest: m.StartingPosition == "LATEST", BatchSize: m.BatchSize, MaxBytes: messages.MaxPayload / 2, Window: m.Window,
		Parallel: m.ParallelizationFactor, Stream: m.stream, Checkpoints: m.checkpoints, Deliver: m.deliver,
		Report: func(detail string) { m.report(nil, hop.Hop{Outcome: hop.Retry, Detail: detail}) },
	}
	if len(m.filters) > 0 {
		r.Filter = m.matches
	}
	if m.TumblingWindow > 0 {
		m.windows = newWindows(m.checkpoints, m.TumblingWindow)
		r.Checkpoints, r.Deliver, r.CaughtUp = m.windows, m.deliverInWindows, m.closeWindow
	}
	if err := r.Run(ctx); err != nil {
		return fmt.Errorf("event source mapping %s: %w", m.LogicalID, err)
	}
	return nil
}

// matches reports whether a record matches one of the filters.
func (m *streamMapping) matches(r streams.Record) bool {
	return matchesAny(m.filters, r.Event)
}

// deliver returns nil when every record of the batch is settled: the function has handled it, or it was given up.
func (m *streamMapping) deliver(ctx context.Context, b streams.Batch) error {
	return m.deliverPart(ctx, part{batch: b, to: len(b.Records)})
}

// A part is what is left of a batch: the records from one position to another.
type part struct {
	batch    streams.Batch
	from, to int
	window   *window // nil without tumbling windows
	retries  int     // after the first invocation
	answer   answer
}

func (p part) records() []streams.Record { return p.batch.Records[p.from:p.to] }

// halves returns the two halves of a part.
func (p part) halves() (first, second part) {
	first, second = p, p
	first.to = p.from + (p.to-p.from)/2
	second.from = first.to
	return first, second
}

// deliverPart invokes the function until it has handled all records of the part, or gives them up. After a partial
// failure it continues at the lowest sequence number that failed. With BisectBatchOnFunctionError a part that fails as
// a whole is halved, which does not count as a retry.
// Source: Lambda developer guide, services-dynamodb-errors and services-ddb-batchfailurereporting.
func (m *streamMapping) deliverPart(ctx context.Context, p part) error {
	for attempt := 0; ; attempt++ {
		if err := m.giveUpOld(ctx, &p); err != nil || p.from == p.to {
			return err
		}
		payload := m.payload(p)
		if len(payload) > messages.MaxPayload && p.to-p.from > 1 {
			return m.deliverHalves(ctx, p)
		}
		failedAt, reason, err := m.call(ctx, &p, payload)
		if err != nil || failedAt == p.to {
			return err
		}
		advanced := failedAt > p.from
		p.from = failedAt
		split := m.BisectBatchOnFunctionError && (advanced || p.to-p.from > 1)
		if !split && m.MaximumRetryAttempts >= 0 && p.retries >= m.MaximumRetryAttempts {
			return m.giveUp(ctx, p, p.to, retryAttemptsExhausted, reason)
		}
		m.report(p.records(), hop.Hop{Outcome: hop.Retry, Target: m.FunctionARN, Detail: fmt.Sprintf("%d failed: %s", p.to-p.from, reason)})
		if err := m.clock.Sleep(ctx, streams.Backoff(attempt, retryLast)); err != nil {
			return err
		}
		if split && !advanced {
			return m.deliverHalves(ctx, p)
		}
		if !split {
			p.retries++
		}
	}
}

// deliverHalves delivers the first half and then the second, so that records of one item keep their order.
func (m *streamMapping) deliverHalves(ctx context.Context, p part) error {
	first, second := p.halves()
	if err := m.deliverPart(ctx, first); err != nil {
		return err
	}
	return m.deliverPart(ctx, second)
}

// call invokes the function with the records of a part, settles those that it has handled and returns the position of
// the first that it has not, and why.
func (m *streamMapping) call(ctx context.Context, p *part, payload []byte) (failedAt int, reason string, err error) {
	started := time.Now()
	response, err := m.invoke(ctx, m.FunctionARN, payload)
	if err != nil && ctx.Err() != nil {
		return p.from, "", ctx.Err() // the run ends: not a failure of the function
	}
	p.answer.invocations++
	p.answer.functionError, failedAt = "", p.to
	switch {
	case err != nil:
		failedAt, reason = p.from, err.Error()
		p.answer.functionError = "Unhandled"
	case p.window != nil && !p.window.keep(response):
		failedAt, reason = p.from, "the response has no state, which a tumbling window needs"
	case m.ReportBatchItemFailures:
		var first int
		if first, reason = firstFailure(response, p.records()); first < p.to-p.from {
			failedAt = p.from + first
		}
	}
	m.set(failedAt < p.to)
	if err := m.settle(*p, failedAt, hop.Hop{Outcome: hop.OK, Target: m.FunctionARN, Latency: time.Since(started)}); err != nil {
		return failedAt, reason, err
	}
	return failedAt, reason, m.endIfFull(ctx, p.batch.Shard, p.window)
}

// giveUpOld gives up the records at the part's begin that are too old, and shortens the part by them.
func (m *streamMapping) giveUpOld(ctx context.Context, p *part) error {
	limit := streams.Retention
	if m.MaximumRecordAge > 0 {
		limit = min(limit, m.MaximumRecordAge)
	}
	to := p.from
	for to < p.to && m.clock.Since(p.batch.Records[to].Arrival) > limit {
		to++
	}
	old := *p
	p.from = to
	return m.giveUp(ctx, old, to, recordAgeExceeded, "")
}

// giveUp settles the part's records before the position once the destination has accepted a message that names them.
// Without a destination they are lost, as on AWS.
func (m *streamMapping) giveUp(ctx context.Context, p part, to int, why condition, reason string) error {
	if p.to = to; p.from == p.to {
		return nil
	}
	end := hop.Hop{Outcome: hop.Dropped, Target: m.FunctionARN, Detail: strings.TrimSuffix(string(why)+": "+reason, ": ")}
	if m.OnFailure != "" {
		message := failureMessage(m.Description, p, why)
		for attempt := 0; ; attempt++ {
			err := m.failures.send(ctx, message)
			if err == nil {
				break
			}
			m.report(p.records(), hop.Hop{Outcome: hop.Retry, Target: m.OnFailure, Detail: err.Error()})
			if err := m.clock.Sleep(ctx, streams.Backoff(attempt, retryLast)); err != nil {
				return err
			}
		}
		end.Outcome, end.Target = hop.DeadLetter, m.OnFailure
	}
	return m.settle(p, to, end)
}

// settle stores the checkpoint for the part's records before the position, and then reports their end.
func (m *streamMapping) settle(p part, to int, end hop.Hop) error {
	if p.to = to; p.from == p.to {
		return nil
	}
	var positions []int
	for at := p.from; at < p.to; at++ {
		positions = append(positions, at)
	}
	if err := p.batch.Settle(positions...); err != nil {
		return err
	}
	m.report(p.records(), end)
	return nil
}

func (m *streamMapping) report(records []streams.Record, h hop.Hop) {
	h.At, h.Stage, h.Resource, h.Count = time.Now(), hop.Stream, m.LogicalID, len(records)
	for _, r := range records {
		if r.ID != "" {
			h.EventIDs = append(h.EventIDs, r.ID)
		}
	}
	m.sink(h)
}

// payload returns the event with which the function is invoked for a part.
func (m *streamMapping) payload(p part) []byte {
	records := encodeRecords(p.records())
	if p.window == nil {
		return payload(records)
	}
	return p.window.payload(windowEvent{Records: records, ShardID: p.batch.Shard, SourceARN: m.SourceARN})
}

// encodeRecords returns the records as the function receives them.
// Source: Lambda developer guide, with-ddb, "Example DynamoDB Streams record event".
func encodeRecords(records []streams.Record) []json.RawMessage {
	encoded := make([]json.RawMessage, len(records))
	for i, r := range records {
		encoded[i] = json.RawMessage(jsontext.Compact(r.Event))
	}
	return encoded
}

package inbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/trace"
)

// An outcome is what became of a message. It is the text of its log line.
type outcome string

const (
	handled   outcome = "handled"   // its effects are committed
	duplicate outcome = "duplicate" // they were before; acknowledged without effect
	failed    outcome = "failed"    // it comes back
	permanent outcome = "permanent" // it waits in the dead-letter queue
	tooEarly  outcome = "too early" // it comes back soon
	skipped   outcome = "skipped"   // it was written before the consumer joined; acknowledged without effect
)

var (
	errPredecessorFailed = errors.New("not started: an earlier message of its group comes back")
	errPredecessorEarly  = errors.New("not started: an earlier version of its aggregate came too early")
	errOutOfTime         = errors.New("out of time")
)

// result is what became of a message, and why.
type result struct {
	outcome outcome
	err     error
	took    time.Duration
	age     time.Duration // from the event to its outcome
}

func (r result) comesBack() bool { return r.outcome == failed || r.outcome == tooEarly }

// handleMessage handles one message and returns what became of it.
func (c *consumer) handleMessage(ctx context.Context, m *message) result {
	if m.undecoded != nil {
		return result{outcome: failed, err: m.undecoded}
	}
	if err := ctx.Err(); err != nil {
		return result{outcome: failed, err: fmt.Errorf("not started: %w", errOutOfTime)}
	}
	start := time.Now()
	r := c.resultOf(ctx, m, c.decide(ctx, m))
	end := time.Now()
	r.took = end.Sub(start)
	r.age = end.Sub(m.event.OccurredAt)
	return r
}

// decide handles a message's event. The starter decides about one that does not follow the position, and notes one that
// was due and failed.
func (c *consumer) decide(ctx context.Context, m *message) error {
	err := c.process(ctx, m.event)
	if err == nil || c.starter == nil {
		return err
	}
	var early *tooEarlyError
	switch {
	case errors.Is(err, errPassed):
		return c.starter.passed(ctx, m.event)
	case errors.As(err, &early):
		if err := c.starter.tooEarly(ctx, m.event, early, m.waited() >= c.gapTimeout); err != nil {
			return err
		}
		err = c.process(ctx, m.event)
	}
	if err == nil || isVerdict(err) {
		return err
	}
	return c.starter.failed(ctx, m.event, err)
}

// resultOf does what the error of a message's process asks for.
func (c *consumer) resultOf(ctx context.Context, m *message, err error) result {
	if err == nil {
		return result{outcome: handled}
	}
	var early *tooEarlyError
	var final *permanentError
	switch {
	case errors.Is(err, errDuplicate), errors.Is(err, errPassed):
		return result{outcome: duplicate}
	case errors.Is(err, errSkipped):
		return result{outcome: skipped}
	case errors.As(err, &early):
		if early.held || m.waited() < c.gapTimeout {
			return c.giveBack(ctx, m, err)
		}
		return c.moveAway(ctx, m, fmt.Errorf("%w; waited %s", err, m.waited().Round(time.Second)))
	case errors.As(err, &final):
		return c.moveAway(ctx, m, err)
	}
	return result{outcome: failed, err: err}
}

// moveAway puts a message into the dead-letter queue; until it is there, it is only failed.
func (c *consumer) moveAway(ctx context.Context, m *message, reason error) result {
	if err := c.deadLetter(ctx, m, reason); err != nil {
		return result{outcome: failed, err: errors.Join(reason, err)}
	}
	return result{outcome: permanent, err: reason}
}

// giveBack returns a message that came too early to the queue, to come again after a pause that doubles
// from a second to a minute, a part of it random so that a crowd spreads out.
func (c *consumer) giveBack(ctx context.Context, m *message, reason error) result {
	const longest = 60
	seconds := min(int32(1)<<min(m.receives()-1, 10), longest)
	_, err := c.store.queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl:          &c.store.config.QueueURL,
		ReceiptHandle:     &m.sqs.ReceiptHandle,
		VisibilityTimeout: seconds/2 + rand.Int32N(seconds-seconds/2) + 1,
	})
	if err != nil {
		// It comes back all the same, only later: after the queue's visibility timeout.
		err = fmt.Errorf("shorten its visibility timeout: %w", err)
	}
	return result{outcome: tooEarly, err: errors.Join(reason, err)}
}

// waited returns how long ago the message was first handed out by its queue.
func (m *message) waited() time.Duration {
	ms, err := strconv.ParseInt(m.sqs.Attributes["ApproximateFirstReceiveTimestamp"], 10, 64)
	if err != nil {
		return 0
	}
	return time.Since(time.UnixMilli(ms))
}

// receives returns how often the message was handed out, this time included.
func (m *message) receives() int {
	n, err := strconv.Atoi(m.sqs.Attributes["ApproximateReceiveCount"])
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// log writes the one line of a message.
func (c *consumer) log(m *message, r result) {
	var level slog.Level
	switch r.outcome {
	case failed, permanent:
		level = slog.LevelError
	case tooEarly:
		level = slog.LevelWarn
	case handled, duplicate, skipped:
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{
		slog.String("consumer", c.store.config.Consumer),
		slog.String("messageId", m.sqs.MessageId),
		slog.Int("receiveCount", m.receives()),
	}
	if e := m.event; m.undecoded == nil {
		attrs = append(attrs,
			slog.String("eventId", e.ID),
			slog.String("eventType", e.Type),
			slog.String("aggregateType", e.AggregateType),
			slog.String("aggregateId", e.AggregateID),
			slog.Int64("version", e.Version),
			slog.String("correlationId", e.CorrelationID),
			slog.Int64("ageMs", r.age.Milliseconds()),
			slog.Int64("tookUs", r.took.Microseconds()),
		)
		if id := trace.XRayID(e.Traceparent); id != "" {
			attrs = append(attrs, slog.String("traceId", id))
		}
	}
	if r.err != nil {
		attrs = append(attrs, slog.String("error", r.err.Error()))
		if stack := stackOf(r.err); stack != "" {
			attrs = append(attrs, slog.String("stack", stack))
		}
	}
	c.store.config.Logger.LogAttrs(context.Background(), level, string(r.outcome), attrs...)
}

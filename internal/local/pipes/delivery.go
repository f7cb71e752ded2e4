package pipes

import (
	"context"
	"errors"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// retryLast is the longest wait between two attempts of the target or the dead-letter queue.
const retryLast = 10 * time.Second

// A delivery sends the batches of one lane to the target, or to the dead-letter queue.
type delivery struct {
	*Pipe
	batch streams.Batch
}

// An item is a record that is being delivered.
type item struct {
	Record
	position int   // in the batch
	retries  int   // after customer errors
	err      error // the target's last error
}

// isCustomerError reports whether the last failure is the customer's, as AWS calls it. These count as attempts and are
// bisected.
func (it *item) isCustomerError() bool { return !errors.Is(it.err, ErrInternal) }

// deliver returns nil when every record of the batch is settled. Records that fail are sent again without those that
// were accepted. With Bisect, a batch with a customer error is halved instead, which does not count as a retry.
// Source: EventBridge user guide, eb-pipes-batching-concurrency, "Partial batch failure"; Pipes API
// reference, PipeSourceDynamoDBStreamParameters.
func (d *delivery) deliver(ctx context.Context, batch []*item) error {
	for attempt := 0; ; attempt++ {
		var err error
		if batch, err = d.giveUpOld(ctx, batch); err != nil || len(batch) == 0 {
			return err
		}
		accepted, failed := separate(batch, d.execute(ctx, records(batch)))
		if err := d.settle(accepted, hop.Hop{Outcome: hop.OK, Target: d.TargetARN}); err != nil {
			return err
		}
		if len(failed) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if d.Bisect && len(failed) > 1 && anyCustomerError(failed) {
			return d.bisect(ctx, failed, attempt)
		}
		if batch, err = d.giveUpExhausted(ctx, failed); err != nil || len(batch) == 0 {
			return err
		}
		if err := d.retryLater(ctx, batch, attempt); err != nil {
			return err
		}
	}
}

// bisect delivers the first half and then the second, so that records of one item keep their order.
func (d *delivery) bisect(ctx context.Context, batch []*item, attempt int) error {
	if err := d.retryLater(ctx, batch, attempt); err != nil {
		return err
	}
	half := len(batch) / 2
	if err := d.deliver(ctx, batch[:half]); err != nil {
		return err
	}
	return d.deliver(ctx, batch[half:])
}

// giveUpOld gives up the records that are too old and returns the others.
func (d *delivery) giveUpOld(ctx context.Context, batch []*item) ([]*item, error) {
	limit := Retention
	if d.MaxAge > 0 {
		limit = min(limit, d.MaxAge)
	}
	now := d.Clock.Now()
	var old, young []*item
	for _, it := range batch {
		if now.Sub(it.Arrival) > limit {
			old = append(old, it)
		} else {
			young = append(young, it)
		}
	}
	return young, d.giveUp(ctx, old, RecordAgeExceeded)
}

// giveUpExhausted gives up the records that have no retry left and returns the others.
func (d *delivery) giveUpExhausted(ctx context.Context, failed []*item) ([]*item, error) {
	var exhausted, left []*item
	for _, it := range failed {
		switch {
		case !it.isCustomerError():
			left = append(left, it)
		case d.MaxRetries >= 0 && it.retries >= d.MaxRetries:
			exhausted = append(exhausted, it)
		default:
			it.retries++
			left = append(left, it)
		}
	}
	return left, d.giveUp(ctx, exhausted, RetryAttemptsExhausted)
}

// giveUp settles the records once the dead-letter queue has accepted them. Without a queue they are lost, as on AWS.
func (d *delivery) giveUp(ctx context.Context, items []*item, condition Condition) error {
	if len(items) == 0 {
		return nil
	}
	end := hop.Hop{Outcome: hop.Dropped, Target: d.TargetARN, Detail: reason(condition, items)}
	if d.DeadLetter != nil {
		rejected := Rejected{Shard: d.batch.Shard, Condition: condition, Records: records(items)}
		for attempt := 0; ; attempt++ {
			err := d.DeadLetter.Send(ctx, rejected)
			if err == nil {
				break
			}
			d.reportItems(items, hop.Hop{Outcome: hop.Retry, Target: d.DeadLetterARN, Detail: err.Error()})
			if err := d.Clock.Sleep(ctx, streams.Backoff(attempt, retryLast)); err != nil {
				return err
			}
		}
		end.Outcome, end.Target = hop.DeadLetter, d.DeadLetterARN
	}
	return d.settle(items, end)
}

// settle stores the checkpoint and then reports the records' end.
func (d *delivery) settle(items []*item, end hop.Hop) error {
	if len(items) == 0 {
		return nil
	}
	end.Latency = time.Since(d.batch.Since)
	if err := d.batch.Settle(positions(items)...); err != nil {
		return err
	}
	d.reportItems(items, end)
	return nil
}

func (d *delivery) retryLater(ctx context.Context, batch []*item, attempt int) error {
	d.reportItems(batch, hop.Hop{Outcome: hop.Retry, Target: d.TargetARN, Detail: batch[0].err.Error()})
	return d.Clock.Sleep(ctx, streams.Backoff(attempt, retryLast))
}

// separate stores each record's error and separates the records that were accepted from the others.
func separate(batch []*item, errs []error) (accepted, failed []*item) {
	if errs == nil {
		return batch, nil
	}
	for i, it := range batch {
		if it.err = errs[i]; it.err == nil {
			accepted = append(accepted, it)
		} else {
			failed = append(failed, it)
		}
	}
	return accepted, failed
}

func anyCustomerError(items []*item) bool {
	for _, it := range items {
		if it.isCustomerError() {
			return true
		}
	}
	return false
}

func reason(condition Condition, items []*item) string {
	if err := items[0].err; err != nil {
		return string(condition) + ": " + err.Error()
	}
	return string(condition)
}

func records(items []*item) []Record {
	found := make([]Record, len(items))
	for i, it := range items {
		found[i] = it.Record
	}
	return found
}

func positions(items []*item) []int {
	found := make([]int, len(items))
	for i, it := range items {
		found[i] = it.position
	}
	return found
}

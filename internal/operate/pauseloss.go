package operate

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// lossText says until when nothing is lost, and by which command: that follows.
func lossText(until *time.Time) string {
	switch {
	case until == nil:
		return "Messages wait in its queue, and for how long is not known: the oldest may soon be deleted. It goes on with"
	case until.Before(time.Now()):
		return "Messages wait in its queue that may be deleted at any time. It goes on with"
	}
	return fmt.Sprintf("Nothing is lost when it goes on before %s", until.Format(time.RFC3339))
}

// keepsUntil counts from when the oldest message was sent: SQS deletes each at its own age, whoever has paused what.
func (p consumerPart) keepsUntil(ctx context.Context, keeps time.Duration, _ time.Time) *time.Time {
	now := time.Now()
	age, ok := p.oldest(ctx, now)
	if !ok {
		return nil
	}
	return aws.Time(now.Add(keeps - age).UTC().Truncate(time.Second))
}

// oldest returns the age of the oldest message in the consumer's queue, 0 for an empty one, and whether it is known.
func (p consumerPart) oldest(ctx context.Context, now time.Time) (age time.Duration, ok bool) {
	v := &Surveyor{clients: p.clients, stack: &Stack{Consumers: []*Consumer{p.consumer}}}
	if depth, err := v.depth(ctx, p.consumer.Queue); err != nil {
		return 0, false
	} else if depth.Waiting+depth.InFlight == 0 {
		return 0, true
	}
	point, ok := v.readMetrics(ctx, now).points[p.consumer.Queue]
	if !ok || now.Sub(point.at) > lookBackForAge {
		return 0, false
	}
	// The figure is of the minute that begins then, and the message has become older since.
	return time.Duration(point.value)*time.Second + now.Sub(point.at), true
}

func (p pipePart) keepsUntil(_ context.Context, keeps time.Duration, since time.Time) *time.Time {
	return aws.Time(since.Add(keeps).UTC().Truncate(time.Second))
}

// repairs says that the auditor delivers some events although the pipe stands still, as what nobody expects of a pause.
func (p pipePart) repairs() string {
	a := p.outbox.Audit
	if a == nil || a.RepairPerMinute == "" {
		return ""
	}
	return fmt.Sprintf("the auditor repairs: what has had no effect for %s it sends to the consumers' queues itself, past the pipe, up to %s a minute to each. Apart from that, ",
		secondsText(seconds(a.ConfirmWithinSeconds)), a.RepairPerMinute)
}

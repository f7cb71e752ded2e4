package operate

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

const (
	// archiveLag is how long an event may take from the bus to the archive.
	// Source: EventBridge user guide, eb-archive, "Event delivery".
	archiveLag = 10 * time.Minute
	// replayPoll is how often EventBridge is asked how far a replay is.
	replayPoll = 2 * time.Second
)

// fromArchive lets EventBridge replay the archive to the consumer's rule, and waits for the end of it.
func (r Replay) fromArchive(ctx context.Context, c Clients, consumer *Consumer, d *Dialog) (*ReplayResult, error) {
	if consumer.Outbox.Archive == "" {
		return nil, fmt.Errorf("outbox %s has no archive: set its ArchiveRetention, or replay from the table", consumer.Outbox.Path)
	}
	in, err := r.startReplay(ctx, c, consumer)
	if err != nil {
		return nil, err
	}
	result := &ReplayResult{Consumer: consumer.Label(), Matched: map[string]int{}, Replay: aws.ToString(in.ReplayName)}
	queue, err := describeQueue(ctx, c.SQS, consumer.Queue)
	if err != nil {
		return nil, err
	}
	if err := r.sayArchive(consumer, queue.retention, in, d); err != nil {
		return nil, err
	}
	if r.DryRun {
		return result, nil
	}
	if !d.Confirms("Replay the archive to " + consumer.Label() + "?") {
		return nil, errNothingDone
	}
	if _, err := c.EventBridge.StartReplay(ctx, in); err != nil {
		return nil, fmt.Errorf("start the replay: %w", err)
	}
	return result, awaitReplay(ctx, c, in, d)
}

// startReplay returns the request for a replay to the consumer's rule and to no other.
func (r Replay) startReplay(ctx context.Context, c Clients, consumer *Consumer) (*eventbridge.StartReplayInput, error) {
	_, name, _ := strings.Cut(consumer.Outbox.Archive, "archive/")
	archive, err := c.EventBridge.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	if err != nil {
		return nil, fmt.Errorf("read archive %s: %w", name, err)
	}
	rule, err := c.EventBridge.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &consumer.Rule, EventBusName: &consumer.Bus})
	if err != nil {
		return nil, fmt.Errorf("read rule %s: %w", consumer.Rule, err)
	}
	now := time.Now().UTC()
	until := r.Until
	if until.IsZero() || until.After(now) {
		until = now
	}
	return &eventbridge.StartReplayInput{
		ReplayName:     aws.String(replayName(consumer, now)),
		EventSourceArn: &consumer.Outbox.Archive,
		EventStartTime: aws.Time(r.Since), EventEndTime: &until,
		Destination: &types.ReplayDestination{Arn: archive.EventSourceArn, FilterArns: []string{aws.ToString(rule.Arn)}},
	}, nil
}

// replayName returns a name that no other replay has. Source: EventBridge API reference, StartReplay: [\.\-_A-Za-z0-9]+, at most
// 64 characters.
func replayName(c *Consumer, now time.Time) string {
	id := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '-'
	}, c.Label())
	return "replay-" + id[:min(len(id), 36)] + "-" + now.Format("20060102T150405.000")
}

// sayArchive prints what the replay does, and asks about what the consumer may have forgotten when it gets it from its queue,
// which keeps a message for the retention. That cannot be left out.
func (r Replay) sayArchive(consumer *Consumer, retention time.Duration, in *eventbridge.StartReplayInput, d *Dialog) error {
	label := consumer.Label()
	d.Say("EventBridge replays what rule %s matches of the archive from %s to %s, to %s alone and in no order",
		consumer.Rule, in.EventStartTime.UTC().Format(time.RFC3339), in.EventEndTime.Format(time.RFC3339), label)
	if time.Since(*in.EventEndTime) < archiveLag {
		d.Say("Events of the last ten minutes may not be in the archive yet.")
	}
	memory, ever, err := rememberedFor(consumer)
	if err != nil {
		return fmt.Errorf("memory of consumer %s: %w", label, err)
	}
	if ever || time.Since(r.Since)+retention <= memory {
		return nil
	}
	d.Say("%s may not remember the older of these events (%s). If they took effect before, they will again.", label, whyForgotten(consumer, memory, retention))
	if r.Forgotten || r.DryRun {
		return nil
	}
	if d.Yes {
		return fmt.Errorf("nothing was done: %s may not remember the older events; give a later --since, or --forgotten", label)
	}
	if !d.Confirms("Replay these, too?") {
		return errNothingDone
	}
	return nil
}

// awaitReplay shows how far the replay is, until it ends.
func awaitReplay(ctx context.Context, c Clients, in *eventbridge.StartReplayInput, d *Dialog) error {
	name := aws.ToString(in.ReplayName)
	span := int(in.EventEndTime.Sub(*in.EventStartTime).Seconds())
	progress := d.Begin("seconds of the archive replayed", span)
	done := 0
	defer func() { progress.End(done) }()
	for {
		out, err := c.EventBridge.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
		if err != nil {
			if ctx.Err() != nil {
				return stillReplays(name, ctx.Err())
			}
			return fmt.Errorf("read replay %s: %w", name, err)
		}
		if out.EventLastReplayedTime != nil {
			done = min(span, int(out.EventLastReplayedTime.Sub(*in.EventStartTime).Seconds()))
		}
		switch out.State {
		case types.ReplayStateCompleted:
			done = span
			d.Say("replay %s is complete", name)
			return nil
		case types.ReplayStateFailed, types.ReplayStateCancelled:
			return fmt.Errorf("replay %s is %s: %s", name, out.State, cmp.Or(aws.ToString(out.StateReason), "EventBridge gives no reason"))
		default:
			progress.At(done)
		}
		if err := sleep(ctx, replayPoll); err != nil {
			return stillReplays(name, err)
		}
	}
}

// stillReplays reports that an interruption does not end what EventBridge does.
func stillReplays(name string, err error) error {
	return fmt.Errorf("%w; EventBridge goes on: `aws events cancel-replay --replay-name %s` stops it, describe-replay says how far it is", err, name)
}
